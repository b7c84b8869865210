package auth

import "errors"

// ErrToken is what every error of Verify wraps.
var ErrToken = errors.New("the token is not accepted")

// Kind says why a token was refused, in one word for metrics and logs.
type Kind string

// The kinds of refusals.
const (
	KindMalformed   Kind = "malformed"   // it is not a token, or its claims are not of their types
	KindAlgorithm   Kind = "algorithm"   // it is signed in a way that no key here takes
	KindKey         Kind = "key"         // it names a key that is not known
	KindSignature   Kind = "signature"   // no key here has signed it
	KindIssuer      Kind = "issuer"      // somebody else issued it
	KindAudience    Kind = "audience"    // it is for somebody else
	KindEarly       Kind = "early"       // it is not good yet: nbf, or iat
	KindExpired     Kind = "expired"     // it is not good any more
	KindLifetime    Kind = "lifetime"    // it is good for longer than AUTH_MAX_TTL
	KindClaim       Kind = "claim"       // sub, exp, name or jti is missing or out of bounds
	KindRooms       Kind = "rooms"       // rooms is not as it should be
	KindUnavailable Kind = "unavailable" // its key can't be had at the moment: try again
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{KindMalformed, KindAlgorithm, KindKey, KindSignature, KindIssuer, KindAudience, KindEarly,
		KindExpired, KindLifetime, KindClaim, KindRooms, KindUnavailable}
}

// Error is why a token was refused. Its text is for whoever showed the token, and may be logged: it
// never holds the token, or anything of a key.
type Error struct {
	Kind   Kind
	Reason string
}

func (e *Error) Error() string { return e.Reason }

// Unwrap returns ErrToken.
func (e *Error) Unwrap() error { return ErrToken }
