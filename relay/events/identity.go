package events

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/engineio"
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

// identity is who a client is, what it may do, and which session it wants to resume.
type identity struct {
	user        broker.User
	grant       *auth.Grant
	keyed       bool // user.ID comes from a key or a token, and is not made up
	named       bool // user.Name is the client's own, or the token's
	pid, offset string

	forms engineio.Form   // in which it wants messages
	moves bool            // it wants to hear of users that are at other places
	rooms json.RawMessage // that it wants to be in from the start
}

// identify reads who a client is from the payload of its CONNECT. With a token it is whom that names;
// without one a guest, and without a key somebody new each time.
func (root *Root) identify(ctx context.Context, payload []byte) (who identity, err error) {
	var a struct {
		Name   *string         `json:"name"`
		Key    *string         `json:"key"`
		Token  *string         `json:"token"`
		PID    json.RawMessage `json:"pid"`
		Offset json.RawMessage `json:"offset"`

		Compact json.RawMessage `json:"compact"`
		Objects json.RawMessage `json:"objects"`
		Places  json.RawMessage `json:"places"`
		Rooms   json.RawMessage `json:"rooms"`
	}
	if len(payload) > 0 {
		if err := decode(payload, &a); err != nil {
			return who, badRequest(err.Error())
		}
	}
	token := ""
	if a.Token != nil {
		token = *a.Token
	}
	if who.grant, err = root.authorize(ctx, token); err != nil {
		return who, err
	}
	who.pid, who.offset = anyText(a.PID), anyText(a.Offset) // what is no text resumes nothing
	if string(a.Compact) == "true" {
		who.forms |= engineio.Compact
	}
	if string(a.Objects) == "true" {
		who.forms |= engineio.Object
	}
	who.moves, who.rooms = string(a.Places) == "true", a.Rooms
	if token == "" {
		err = who.asGuest(a.Name, a.Key)
	} else {
		who.asUser()
	}
	session := ""
	if who.pid != "" {
		session = socketID(who.pid)
	}
	if _, revoked := root.revoked(who.user.ID, session, who.grant); err == nil && revoked {
		err = revokedFault()
	}
	return who, err
}

// asUser makes who the user that the token names.
func (who *identity) asUser() {
	g := who.grant
	who.user, who.keyed, who.named = broker.User{ID: g.UserID, Name: g.Name}, true, g.Name != ""
	if !who.named {
		who.user.Name = g.UserID
	}
}

// asGuest makes who a guest, the same whenever the key is the same. A guest's id never is that of a user
// whom a token names: see auth.
func (who *identity) asGuest(name, key *string) error {
	secret := newID()
	if key != nil && *key != "" {
		if n := utf8.RuneCountInString(*key); n < minKey || n > maxKey {
			return badRequest("key must have 16 to 64 characters")
		}
		secret, who.keyed = *key, true
	}
	id := publicID("guest", secret)
	who.user = broker.User{ID: auth.GuestPrefix + id, Guest: true}
	if name != nil {
		who.user.Name = strings.TrimSpace(*name)
	}
	if who.named = who.user.Name != ""; !who.named {
		who.user.Name = broker.GuestName(who.user.ID)
	}
	return CheckName(who.user.Name)
}

// CheckName returns an error if nobody can be called so.
func CheckName(name string) error {
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return badRequest("name must have at most 64 characters and no control characters")
	}
	return nil
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
