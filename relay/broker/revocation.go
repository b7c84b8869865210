package broker

import (
	"errors"
	"strings"
	"time"
)

// ErrTooMany: as many revocations are kept as may be.
var ErrTooMany = errors.New("broker: too many revocations")

// Bounds of revocations.
const (
	MaxRevocations = 100_000 // kept at a time
	MaxRevokedID   = 256     // bytes of a User, Token or Session
)

// Revocation says whose right to be connected ends.
type Revocation struct {
	User, Token, Session string // exactly one: a user's public id, a token's jti, a session's public id

	IssuedBefore int64 // milliseconds since 1970: tokens issued then or later stay good; 0: none does
	Reauth       bool  // the client gets a while to bring another token, instead of being cut off
	Until        int64 // milliseconds since 1970: when the last such token will have expired, and this may be forgotten

	// With Muted, a user's public id, in place of the three above, it ends no right to be connected, but
	// has the user not speak, in Room or, if that is empty, anywhere, before IssuedBefore. Of two
	// of the same user and Room the later word holds, whatever it says.
	Muted, Room string
}

// Mute returns what has a user not speak in a room, or anywhere if that is empty, until then; a time that
// is over lets them speak again.
func Mute(user, room string, until time.Time) Revocation {
	end := until.UnixMilli()
	return Revocation{Muted: user, Room: room, IssuedBefore: end, Until: max(end, time.Now().Add(muteKept).UnixMilli())}
}

// muteKept is how long a word about a user is kept at least: a relay that is away for longer may go by
// one of before, while that lasts.
const muteKept = time.Hour

// Check returns an error if r is none that can be stored.
func (r Revocation) Check() error {
	n := 0
	for _, id := range []string{r.User, r.Token, r.Session, r.Muted} {
		if id != "" {
			n++
		}
	}
	switch {
	case n != 1:
		return errors.New("a revocation is of one user, one token or one session")
	case len(r.Room) > MaxRevokedID || strings.Contains(r.Muted, muteSeparator) || r.Room != "" && r.Muted == "":
		return errors.New("a room of more than 256 bytes, or of nobody who is mute")
	case len(r.User+r.Token+r.Session+r.Muted) > MaxRevokedID:
		return errors.New("an id of more than 256 bytes")
	case r.IssuedBefore < 0 || r.Until <= 0:
		return errors.New("a time before 1970, or none until when it is kept")
	}
	return nil
}

const muteSeparator = "\x00"

// Subject names whose right r ends, in one string: RevocationOf reads it. At most one revocation of
// a subject holds.
func (r Revocation) Subject() string {
	switch {
	case r.User != "":
		return "u" + r.User
	case r.Token != "":
		return "t" + r.Token
	case r.Muted != "":
		return "m" + r.Muted + muteSeparator + r.Room
	}
	return "s" + r.Session
}

// RevocationOf is a revocation of a subject, or reports false if it is of a kind that is not known
// here.
func RevocationOf(subject string) (r Revocation, ok bool) {
	if len(subject) < 2 {
		return r, false
	}
	switch id := subject[1:]; subject[0] {
	case 'u':
		r.User = id
	case 't':
		r.Token = id
	case 's':
		r.Session = id
	case 'm':
		r.Muted, r.Room, ok = strings.Cut(id, muteSeparator)
		return r, ok && r.Muted != ""
	default:
		return r, false
	}
	return r, true
}

// Ends reports whether r ends the right of who has a token that was issued then, in milliseconds
// since 1970; 0 if that is not known.
func (r Revocation) Ends(issued int64) bool { return r.IssuedBefore == 0 || issued < r.IssuedBefore }

// With is what holds if both r and then another of the same subject were said: the stricter in each
// respect, but for a mute.
func (r Revocation) With(other Revocation) Revocation {
	if r.Muted != "" {
		other.Until = max(r.Until, other.Until) // so that who has heard of r hears of other
		return other
	}
	if r.IssuedBefore != 0 {
		r.IssuedBefore = max(r.IssuedBefore, other.IssuedBefore)
		if other.IssuedBefore == 0 {
			r.IssuedBefore = 0
		}
	}
	r.Until = max(r.Until, other.Until)
	r.Reauth = r.Reauth && other.Reauth
	return r
}

// FindRevoked looks for a revocation that ends the right of a user with a token and a session; one
// that cuts them off, if there are several. find returns what holds of a subject.
func FindRevoked(user, token, session string, issued int64, find func(subject string) (Revocation, bool)) (out Revocation, revoked bool) {
	for _, r := range []Revocation{{User: user}, {Token: token}, {Session: session}} {
		if r == (Revocation{}) {
			continue
		}
		if is, ok := find(r.Subject()); ok && is.Ends(issued) && (!revoked || out.Reauth) {
			out, revoked = is, true
		}
	}
	return out, revoked
}

// Coverage says how far a revocation has come.
type Coverage struct {
	Stored    bool // it is known to be stored: what is not reached yet will be
	Holds     int  // live relays that it holds on
	Unreached int  // live relays that have not said so yet
}
