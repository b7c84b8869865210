package relay

import (
	"crypto/rand"
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

// newID makes an id that nobody can guess: 26 characters, 130 bits of crypto/rand.
func newID() string { return strings.ToLower(rand.Text()) }

// newNode names the life of one relay among the relays of a fleet: 10 characters, 50 bits of crypto/rand.
func newNode() string { return newID()[:10] }

// publicID makes of a secret an id that others may see: the same secret always gives the same, and nothing leads back.
func publicID(kind, secret string) string {
	sum := sha256.Sum256([]byte("setu " + kind + "\x00" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// identify reads who a client is from the payload of its CONNECT. Without a key it is somebody new each time.
func identify(auth []byte) (broker.User, error) {
	var a struct {
		Name  *string `json:"name"`
		Key   *string `json:"key"`
		Token *string `json:"token"`
	}
	if len(auth) > 0 && json.Unmarshal(auth, &a) != nil {
		return broker.User{}, errors.New("name, key and token must be strings")
	}
	if a.Token != nil && *a.Token != "" {
		return broker.User{}, errors.New("this relay knows guests only: connect without a token")
	}
	secret := newID()
	if a.Key != nil && *a.Key != "" {
		if n := utf8.RuneCountInString(*a.Key); n < minKey || n > maxKey {
			return broker.User{}, errors.New("key must have 16 to 64 characters")
		}
		secret = *a.Key
	}
	u := broker.User{ID: publicID("guest", secret), Guest: true}
	if a.Name != nil {
		u.Name = strings.TrimSpace(*a.Name)
	}
	if u.Name == "" {
		u.Name = "guest-" + strings.ToLower(u.ID[:4])
	}
	if utf8.RuneCountInString(u.Name) > maxName || strings.ContainsFunc(u.Name, unicode.IsControl) {
		return broker.User{}, errors.New("name must have at most 64 characters and no control characters")
	}
	return u, nil
}
