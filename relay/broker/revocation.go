package broker

import "errors"

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
}

// Check returns an error if r is none that can be stored.
func (r Revocation) Check() error {
	n := 0
	for _, id := range []string{r.User, r.Token, r.Session} {
		if id != "" {
			n++
		}
	}
	switch {
	case n != 1:
		return errors.New("a revocation is of one user, one token or one session")
	case len(r.Subject()) > 1+MaxRevokedID:
		return errors.New("an id of more than 256 bytes")
	case r.IssuedBefore < 0 || r.Until <= 0:
		return errors.New("a time before 1970, or none until when it is kept")
	}
	return nil
}

// Subject names whose right r ends, in one string: RevocationOf reads it. At most one revocation of
// a subject holds.
func (r Revocation) Subject() string {
	switch {
	case r.User != "":
		return "u" + r.User
	case r.Token != "":
		return "t" + r.Token
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
	default:
		return r, false
	}
	return r, true
}

// Ends reports whether r ends the right of who has a token that was issued then, in milliseconds
// since 1970; 0 if that is not known.
func (r Revocation) Ends(issued int64) bool { return r.IssuedBefore == 0 || issued < r.IssuedBefore }

// With is what holds if both r and another of the same subject were said: the stricter in each
// respect.
func (r Revocation) With(other Revocation) Revocation {
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
