package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Mint returns a token that a Verifier with the same settings takes, and makes g of: with the
// settings' issuer and audience, of whole seconds, and signed by the first secret. A grant without
// TokenID gets one, and one that was not issued is issued now.
func (c Config) Mint(g Grant) (string, error) {
	if len(c.Secrets) == 0 {
		return "", errors.New("AUTH_SECRET is not set: tokens are signed by it")
	}
	if g.Issued.IsZero() {
		g.Issued = time.Now()
	}
	if g.TokenID == "" {
		g.TokenID = rand.Text()
	}
	payload := claims{Subject: g.UserID, ID: &g.TokenID, Issuer: c.Issuer, Issued: seconds(g.Issued), Expires: seconds(g.Expires),
		Rooms: roomsClaim{g.Rooms}}
	if g.Name != "" {
		payload.Name = &g.Name
	}
	if c.Audience != "" {
		payload.Audience = audience{c.Audience}
	}
	refused := payload.checkTimes()
	if refused == nil {
		_, refused = payload.grant(g.Issued, c.MaxTTL)
	}
	if refused != nil {
		return "", errors.New(refused.Reason)
	}
	if *payload.Expires <= *payload.Issued {
		return "", errors.New("the token would end before it begins")
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, &payload).SignedString([]byte(c.Secrets[0]))
	if err == nil && len(token) > MaxToken {
		return "", fmt.Errorf("the token would have %d bytes: at most %d are taken", len(token), MaxToken)
	}
	return token, err
}

func seconds(t time.Time) *float64 {
	s := float64(t.Unix())
	return &s
}
