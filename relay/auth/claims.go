package auth

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// Bounds of claims.
const (
	maxSubject = 128 // bytes
	maxID      = 128 // bytes
	maxName    = 64  // characters
	maxSeconds = 253402300800
)

// Grant is what a token allows to whom.
type Grant struct {
	UserID  string    // what UserID makes of sub
	Name    string    // empty if the token has none
	TokenID string    // jti; empty if the token has none
	Issued  time.Time // iat; zero if the token has none
	Expires time.Time // exp, which may be up to Leeway ago
	Rooms   Rooms
}

// GuestPrefix begins the ids of guests, and no sub.
const GuestPrefix = "~"

// UserID returns the public id of the user that a token's sub names, which is the sub itself, or
// why no user can have it.
func UserID(sub string) (string, error) {
	switch {
	case sub == "":
		return "", errors.New("sub is missing: it says whose token it is")
	case len(sub) > maxSubject || !isText(sub):
		return "", fmt.Errorf("sub must have 1 to %d bytes and no control characters", maxSubject)
	case strings.HasPrefix(sub, GuestPrefix):
		return "", errors.New("sub must not begin with " + GuestPrefix + ", as guests' ids do")
	}
	return sub, nil
}

// CheckTokenID returns why no token can have this id.
func CheckTokenID(jti string) error {
	if jti == "" || len(jti) > maxID || !isText(jti) {
		return fmt.Errorf("jti must have 1 to %d bytes and no control characters", maxID)
	}
	return nil
}

// isText reports whether s is UTF-8 without control characters.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// claims is the payload of a token: what is checked is read once, from here, and so is what is used.
type claims struct {
	Subject   string     `json:"sub"`
	Name      *string    `json:"name,omitempty"`
	ID        *string    `json:"jti,omitempty"`
	Issuer    string     `json:"iss,omitempty"`
	Audience  audience   `json:"aud,omitempty"`
	Issued    *float64   `json:"iat,omitempty"`
	NotBefore *float64   `json:"nbf,omitempty"`
	Expires   *float64   `json:"exp,omitempty"`
	Rooms     roomsClaim `json:"rooms,omitzero"`
	refused   *Error     // why they can't be read
}

// audience is one name, or a list of names.
type audience []string

func (a *audience) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(a))
	}
	var one *string
	if err := json.Unmarshal(raw, &one); err != nil || one == nil {
		return err
	}
	*a = audience{*one}
	return nil
}

// roomsClaim is Rooms, with errors for whoever showed the token.
type roomsClaim struct{ Rooms }

func (r *roomsClaim) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	if err := r.Rooms.UnmarshalJSON(raw); err != nil {
		return &Error{KindRooms, "rooms: " + err.Error()}
	}
	return nil
}

// UnmarshalJSON reads claims by the letter: other than encoding/json it takes no other case of a
// name, and no name twice, so there is one way to read what was signed. What it refuses is in
// c.refused, for the parser to go on, whose errors are of one kind for all.
func (c *claims) UnmarshalJSON(raw []byte) error {
	type plain claims // without this method
	err := json.Unmarshal(raw, (*plain)(c))
	if err == nil {
		return nil
	}
	var wrong *json.SemanticError
	switch {
	case errors.As(err, &c.refused):
	case errors.Is(err, jsontext.ErrDuplicateName):
		c.refused = &Error{KindMalformed, "the token has a claim twice"}
	case errors.As(err, &wrong) && wrong.JSONPointer != "":
		name, _, _ := strings.Cut(string(wrong.JSONPointer)[1:], "/") // one of the above
		c.refused = &Error{KindMalformed, "the token's " + name + " is not of its type"}
	default:
		c.refused = &Error{KindMalformed, "the token's claims can't be read"}
	}
	return nil
}

// grant checks what the JWT library does not, and returns what the claims allow.
func (c *claims) grant(now time.Time, maxTTL time.Duration) (Grant, *Error) {
	id, err := UserID(c.Subject)
	if err != nil {
		return Grant{}, &Error{KindClaim, err.Error()}
	}
	g := Grant{UserID: id, Issued: timeOf(c.Issued), Expires: timeOf(c.Expires), Rooms: c.Rooms.Rooms}
	if c.Name != nil {
		g.Name = strings.TrimSpace(*c.Name)
		if n := utf8.RuneCountInString(g.Name); n < 1 || n > maxName || !isText(g.Name) {
			return Grant{}, &Error{KindClaim, fmt.Sprintf("name must have 1 to %d characters and no control characters", maxName)}
		}
	}
	if c.ID != nil {
		g.TokenID = *c.ID
		if err := CheckTokenID(g.TokenID); err != nil {
			return Grant{}, &Error{KindClaim, err.Error()}
		}
	}
	if g.Expires.Sub(now) > maxTTL+Leeway || c.Issued != nil && g.Expires.Sub(g.Issued) > maxTTL {
		return Grant{}, &Error{KindLifetime, fmt.Sprintf("the token is good for longer than %s, the most that is taken", maxTTL)}
	}
	return g, nil
}

// checkTimes refuses times that are none, and a token without an end.
func (c *claims) checkTimes() *Error {
	if c.Expires == nil {
		return &Error{KindClaim, "exp is missing: a token must end"}
	}
	for _, t := range []*float64{c.Expires, c.NotBefore, c.Issued} {
		if t != nil && (math.IsNaN(*t) || *t < 0 || *t >= maxSeconds) {
			return &Error{KindMalformed, "exp, nbf and iat must be seconds since 1970"}
		}
	}
	return nil
}

// timeOf returns the time of a claim that checkTimes let pass; without one, zero.
func timeOf(seconds *float64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	whole, part := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(part*1e9))
}

func numericDate(seconds *float64) (*jwt.NumericDate, error) {
	if seconds == nil {
		return nil, nil
	}
	return &jwt.NumericDate{Time: timeOf(seconds)}, nil
}

// The methods of jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.Expires) }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return numericDate(c.NotBefore) }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return numericDate(c.Issued) }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings(c.Audience), nil }
