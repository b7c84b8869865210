package events

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"setu/relay/broker"
)

// Bounds of what a client may say of itself.
const (
	maxName = 64 // characters
	minKey  = 16
	maxKey  = 64
)

// publicID returns an id that others may see for a secret: the same secret always gives the same, and
// nothing leads back.
func publicID(kind, secret string) string {
	sum := sha256.Sum256([]byte("setu " + kind + "\x00" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// identity is who a client says that it is, and which session it wants to resume.
type identity struct {
	user        broker.User
	keyed       bool // user.ID comes from a key, and is not made up
	named       bool // user.Name is the client's own
	pid, offset string
}

// identify reads who a client is from the payload of its CONNECT. Without a key it is somebody new
// each time.
func identify(auth []byte) (who identity, err error) {
	var a struct {
		Name   *string         `json:"name"`
		Key    *string         `json:"key"`
		Token  *string         `json:"token"`
		PID    json.RawMessage `json:"pid"`
		Offset json.RawMessage `json:"offset"`
	}
	if len(auth) > 0 {
		if err := decode(auth, &a); err != nil {
			return who, err
		}
	}
	if a.Token != nil && *a.Token != "" {
		return who, errors.New("this relay knows guests only: connect without a token")
	}
	who.pid, who.offset = anyText(a.PID), anyText(a.Offset) // what is no text resumes nothing
	secret := newID()
	if a.Key != nil && *a.Key != "" {
		if n := utf8.RuneCountInString(*a.Key); n < minKey || n > maxKey {
			return who, errors.New("key must have 16 to 64 characters")
		}
		secret, who.keyed = *a.Key, true
	}
	who.user = broker.User{ID: publicID("guest", secret), Guest: true}
	if a.Name != nil {
		who.user.Name = strings.TrimSpace(*a.Name)
	}
	if who.named = who.user.Name != ""; !who.named {
		who.user.Name = "guest-" + strings.ToLower(who.user.ID[:4])
	}
	if utf8.RuneCountInString(who.user.Name) > maxName || strings.ContainsFunc(who.user.Name, unicode.IsControl) {
		return who, errors.New("name must have at most 64 characters and no control characters")
	}
	return who, nil
}

// resumes reports whether who may go on with a session, and as whom: a key has to be shown again,
// and a new name counts.
func (who identity) resumes(s broker.Session) (broker.User, bool) {
	if who.keyed != s.Keyed || who.keyed && who.user.ID != s.User.ID {
		return broker.User{}, false
	}
	u := s.User
	if who.named {
		u.Name = who.user.Name
	}
	return u, true
}
