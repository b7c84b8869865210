package auth

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Nothing panics, and nothing verifies but what was minted: neither a token that was changed, nor
// claims under somebody else's signature. What is signed by us and accepted keeps its bounds.
func FuzzVerify(f *testing.F) {
	const secret = Secret("a secret of the fuzz tests: the same in all of their processes")
	cfg := Config{Secrets: []Secret{secret}, MaxTTL: 100 * 365 * 24 * time.Hour}
	cfg.PublicKeys, _ = ParsePublicKeys(pemOf(keys().ec.Public()))
	v, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	minted := sign(object{"alg": "HS256", "typ": "JWT"}, object{"sub": "u1", "name": "A", "iat": 1.7e9, "exp": 4e9}, secret)
	if _, err := v.Verify(f.Context(), minted); err != nil {
		f.Fatal(err)
	}
	f.Add(minted, `{"sub":"u1","exp":1e9}`, `{"alg":"HS256"}`)
	f.Add(minted+"=", "null", `{"alg":"none","kid":"x"}`)
	f.Add(strings.ToLower(minted), `{"sub":"u1","exp":4e9,"rooms":{"a*":["join"]}}`, `{"alg":"ES256","crit":[]}`)
	f.Add("..", `{"sub":"a","sub":"b","aud":["x"],"exp":9e99}`, `null`)
	for _, b := range badTokens() {
		if len(b.token) < 2000 {
			f.Add(b.token, "{}", "{}")
		}
	}
	f.Fuzz(func(t *testing.T, token, claims, header string) {
		if g, err := v.Verify(t.Context(), token); err == nil && token != minted {
			t.Errorf("%q is %+v", token, g)
		}
		unsigned := b64([]byte(header)) + "." + b64([]byte(claims)) + "."
		if g, err := v.Verify(t.Context(), unsigned+b64(make([]byte, 32))); err == nil {
			t.Errorf("%q, which nobody signed, is %+v", header, g)
		}
		g, err := v.Verify(t.Context(), sign(object{"alg": "HS256"}, claims, secret))
		if err != nil {
			kindOf(t, err)
			return
		}
		left := time.Until(g.Expires)
		if id, err := UserID(g.UserID); err != nil || id != g.UserID || left > cfg.MaxTTL+Leeway || left < -Leeway-time.Second || len(g.Name) > 4*maxName || len(g.TokenID) > maxID {
			t.Errorf("%q is %+v", claims, g)
		}
	})
}

func FuzzParseJWKS(f *testing.F) {
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + b64(make([]byte, 32)) + `"}]}`)
	f.Add(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},null,[],1]}`)
	f.Fuzz(func(t *testing.T, body string) {
		keys, _, err := parseJWKS([]byte(body))
		if err != nil && keys != nil || len(keys) > maxJWKSKeys {
			t.Error(len(keys), err)
		}
		for _, k := range keys {
			if len(k.algs) == 0 {
				t.Error("a key for nothing")
			}
			for _, alg := range k.algs {
				if symmetric(alg) {
					t.Error("a key that everybody can read signs")
				}
			}
		}
	})
}
