package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"setu/relay/auth"
)

// Right is something that a key may do.
type Right string

// The rights.
const (
	Publish Right = "publish" // messages to rooms, and events to rooms, users and sessions
	Read    Right = "read"    // histories, rooms, who is where
	Manage  Right = "manage"  // put users into rooms, take them out, mute, disconnect, revoke
)

var rights = []Right{Publish, Read, Manage}

// Key is one of API_KEYS. Of its secret no more than a digest is kept.
type Key struct {
	Name   string
	rights []Right
	digest [sha256.Size]byte
}

// has reports whether the key has a right.
func (k *Key) has(r Right) bool { return slices.Contains(k.rights, r) }

// Keys are all of them.
type Keys []Key

// Bounds of keys.
const (
	maxKeys   = 100
	minSecret = 32 // bytes
	maxSecret = 512
)

var (
	keyName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)
	keySecret = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // what a header can carry (RFC 6750)
)

// ParseKeys reads keys, comma-separated, each name:secret:rights. Space around them is not theirs. An
// error holds no secret.
func ParseKeys(text auth.Secret) (Keys, error) {
	var out Keys
	for i, part := range strings.Split(string(text), ",") {
		k, err := parseKey(strings.TrimSpace(part))
		switch {
		case err != nil:
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		case slices.ContainsFunc(out, func(o Key) bool { return o.Name == k.Name }):
			return nil, fmt.Errorf("key %d: another one is called %s", i+1, k.Name)
		case slices.ContainsFunc(out, func(o Key) bool { return o.digest == k.digest }):
			return nil, fmt.Errorf("key %d: another one has its secret", i+1)
		}
		out = append(out, k)
	}
	if len(out) > maxKeys {
		return nil, fmt.Errorf("there are %d keys, and at most %d may be", len(out), maxKeys)
	}
	return out, nil
}

func parseKey(text string) (k Key, err error) {
	part := strings.Split(text, ":")
	if len(part) != 3 {
		return k, errors.New("it is not name:secret:rights")
	}
	name, secret := part[0], part[1]
	switch {
	case !keyName.MatchString(name):
		return k, errors.New("its name has 1 to 32 letters, digits, - and _")
	case len(secret) < minSecret || len(secret) > maxSecret:
		return k, fmt.Errorf("the secret of %s has %d bytes, and takes %d to %d", name, len(secret), minSecret, maxSecret)
	case !keySecret.MatchString(secret):
		return k, fmt.Errorf("the secret of %s has other characters than A-Z a-z 0-9 . _ ~ + / - and = at its end", name)
	}
	k = Key{Name: name, digest: sha256.Sum256([]byte(secret))}
	for _, word := range strings.Split(part[2], "+") {
		r := Right(strings.TrimSpace(word))
		if !slices.Contains(rights, r) {
			return k, fmt.Errorf("the rights of %s are publish, read and manage, with + between", name)
		}
		k.rights = append(k.rights, r)
	}
	return k, nil
}

// find returns the key of a secret, or nil. It takes as long whichever that is.
func (ks Keys) find(secret string) *Key {
	digest := sha256.Sum256([]byte(secret))
	at := -1
	for i := range ks {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(digest[:], ks[i].digest[:]), i, at)
	}
	if at < 0 {
		return nil
	}
	return &ks[at]
}

// bearer returns the secret of a header, empty if that is none.
func bearer(header string) string {
	scheme, secret, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || len(secret) > maxSecret {
		return ""
	}
	return strings.TrimSpace(secret)
}
