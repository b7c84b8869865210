// Package auth decides who somebody is and what they may do: it checks tokens, which are JSON Web
// Tokens (RFC 7519), and signs those of the command setu token. It knows nothing of connections and
// of rooms but their names.
//
// # Keys
//
// A token is accepted if a key that we know has signed it. Keys come from settings, and from a JSON
// Web Key Set at a URL from settings, which is fetched in the background. Nothing that a token says
// leads to a request to anywhere else: jku, x5u, x5c and jwk in its header are not read. Each key
// takes its own algorithms: a secret HS256, HS384 and HS512, an RSA key RS256 and PS256, P-256
// ES256, Ed25519 EdDSA. A token's kid chooses among the keys that have one: a kid that is known is
// the only key that is tried; otherwise all keys without a kid are, and for a token without a kid
// all keys; of them, the first 16 that take the algorithm.
//
// # Users and guests
//
// The public id of a user is the token's sub, so that back ends can speak of users in their own
// words. Guests' ids begin with "~", which no sub may: nobody gets a token that makes them a guest
// whom others know, and no guest passes for a user. (Guests' ids in histories of before have 16
// characters of base64url and no "~". A sub may look like one; from.guest tells them apart.)
//
// # Libraries
//
// golang-jwt takes tokens apart, checks signatures, and the times, issuer and audience of claims;
// jwkset makes keys of JSON. What fetches keys is ours (jwks.go): jwkset's own makes requests while
// a token waits, keeps keys for ever, gives up a whole set for one key in it, and bounds nothing.
// keyfunc, which would choose keys, ties no key to its algorithms and takes the rest from jwkset.
package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// Leeway is by how much clocks may differ.
	Leeway = 5 * time.Second

	// MaxToken is how many bytes a token may have.
	MaxToken = 8 << 10
)

// Verifier checks tokens. It may be used by many goroutines.
type Verifier struct {
	// Immutable after New.
	static   []key
	jwks     *jwks // nil: none
	parser   *jwt.Parser
	issuer   string
	audience string
	maxTTL   time.Duration

	guests       Rooms
	admitsGuests bool
}

// New returns a Verifier, which begins to fetch keys if there is a URL of any. Close ends that.
func New(cfg Config, log *slog.Logger) (*Verifier, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // one request in a quarter of an hour
	return newVerifier(cfg, log, transport)
}

func newVerifier(cfg Config, log *slog.Logger, transport http.RoundTripper) (*Verifier, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.MaxTTL <= 0 {
		return nil, errors.New("auth: MaxTTL must be set")
	}
	v := &Verifier{issuer: cfg.Issuer, audience: cfg.Audience, maxTTL: cfg.MaxTTL, guests: cfg.Guests, admitsGuests: cfg.Mode != Required}
	for _, s := range cfg.Secrets {
		v.static = append(v.static, secretKey(s))
	}
	for _, p := range cfg.PublicKeys {
		v.static = append(v.static, p.key)
	}
	options := []jwt.ParserOption{jwt.WithStrictDecoding(), jwt.WithValidMethods(algorithms()), jwt.WithLeeway(Leeway),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt()}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	v.parser = jwt.NewParser(options...)
	if cfg.JWKS != nil {
		if cfg.Audience == "" {
			log.Warn("AUTH_AUDIENCE is not set: tokens that AUTH_JWKS_URL's keys signed for others are accepted, too")
		}
		v.jwks = startJWKS(cfg.JWKS, transport, log)
	}
	return v, nil
}

// Guests returns what guests may do, or false if nobody is let in without a token.
func (v *Verifier) Guests() (rooms Rooms, admitted bool) { return v.guests, v.admitsGuests }

// Close ends what runs in the background, and waits for it.
func (v *Verifier) Close() {
	if v.jwks != nil {
		v.jwks.close()
	}
}

// Format prints no key, whatever the verb.
func (*Verifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.Verifier") }

// Verify returns what a token allows, or an *Error that wraps ErrToken. It makes no request, but
// waits for keys for up to two seconds if the token's may be on their way.
func (v *Verifier) Verify(ctx context.Context, token string) (Grant, error) {
	g, refused, missing := v.try(token)
	if missing {
		if v.jwks.refresh(ctx) {
			g, refused, _ = v.try(token)
		} else if v.jwks.unsure() {
			refused = &Error{KindUnavailable, "the keys that check tokens can't be had at the moment: try again"}
		}
	}
	if refused != nil {
		return Grant{}, refused
	}
	return g, nil
}

// try checks a token by the keys that are here. It reports whether one that is missing may have
// signed it.
func (v *Verifier) try(token string) (g Grant, refused *Error, missing bool) {
	if !v.hasKeys() {
		return g, &Error{KindKey, "this relay knows guests only: connect without a token"}, false
	}
	if len(token) > MaxToken {
		return g, &Error{KindMalformed, fmt.Sprintf("the token has more than %d bytes", MaxToken)}, false
	}
	if strings.ContainsAny(token, "\r\n") { // which base64 passes over
		return g, &Error{KindMalformed, "the token is no JSON Web Token"}, false
	}
	var c claims
	var tried bool
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		tried = true
		var keys jwt.VerificationKeySet
		keys.Keys, refused, missing = v.keysFor(t.Header, &c)
		if refused != nil {
			return nil, refused
		}
		return keys, nil
	})
	if refused == nil && err != nil {
		refused = v.explain(err, &c, tried)
	}
	if refused == nil {
		g, refused = c.grant(time.Now(), v.maxTTL)
	}
	missing = missing && refused != nil && (refused.Kind == KindSignature || refused.Kind == KindKey)
	return g, refused, missing
}

// keysFor returns the keys that may have signed a token with this header, whose claims could be
// read. It reports whether one that is missing may have.
func (v *Verifier) keysFor(header map[string]any, c *claims) (out []jwt.VerificationKey, refused *Error, missing bool) {
	alg, kid, refused := readHeader(header)
	if refused == nil {
		refused = c.refused
	}
	if refused == nil {
		refused = c.checkTimes() // of claims that are null, too
	}
	if refused != nil {
		return nil, refused, false
	}
	keys, fetched := v.static, v.jwks == nil
	if v.jwks != nil {
		var more []key
		more, fetched = v.jwks.current()
		keys = slices.Concat(keys, more)
	}
	fit, known := pick(keys, alg, kid)
	missing = v.jwks != nil && !symmetric(alg) && (!fetched || kid != "" && !known)
	if len(fit) > 0 {
		for _, k := range fit {
			out = append(out, k.verify)
		}
		return out, nil, missing
	}
	switch {
	case missing:
		refused = &Error{KindKey, "the token is signed by a key that is not known"}
	default:
		refused = &Error{KindAlgorithm, "the token is signed in a way that is not taken"}
	}
	return nil, refused, missing
}

func (v *Verifier) hasKeys() bool { return len(v.static) > 0 || v.jwks != nil }

// readHeader returns what counts of a token's header.
func readHeader(header map[string]any) (alg, kid string, refused *Error) {
	if _, critical := header["crit"]; critical {
		return "", "", &Error{KindMalformed, "the token's header has crit, and nothing there is understood"}
	}
	typ, ok := text(header, "typ")
	switch typ = strings.TrimPrefix(strings.ToLower(typ), "application/"); {
	case !ok, typ != "" && typ != "jwt" && typ != "at+jwt":
		return "", "", &Error{KindMalformed, "the token's typ is not JWT"}
	}
	if kid, ok = text(header, "kid"); !ok {
		return "", "", &Error{KindMalformed, "the token's kid is no text"}
	}
	alg, _ = text(header, "alg") // which the parser has found to be one
	return alg, kid, nil
}

// text returns a member that is a string, or not there.
func text(header map[string]any, name string) (s string, ok bool) {
	value, there := header[name]
	if !there {
		return "", true
	}
	s, ok = value.(string)
	return s, ok
}

// explain turns an error of the JWT library into ours, which holds nothing of the token.
func (v *Verifier) explain(err error, c *claims, tried bool) *Error {
	missing := errors.Is(err, jwt.ErrTokenRequiredClaimMissing)
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return &Error{KindMalformed, "the token is no JSON Web Token"}
	case !tried: // the parser takes no such algorithm
		return &Error{KindAlgorithm, "the token is signed in a way that is not taken"}
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return &Error{KindSignature, "the token's signature is not of a key that is known"}
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), missing && v.issuer != "" && c.Issuer == "":
		return &Error{KindIssuer, "the token is of another issuer"}
	case errors.Is(err, jwt.ErrTokenInvalidAudience), missing:
		return &Error{KindAudience, "the token is for somebody else"}
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return &Error{KindEarly, "the token is not good yet"}
	case errors.Is(err, jwt.ErrTokenExpired):
		return &Error{KindExpired, "the token has expired"}
	}
	return &Error{KindMalformed, "the token can't be read"}
}
