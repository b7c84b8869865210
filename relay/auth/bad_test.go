package auth

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// badToken is a token that must be refused, and as what.
type badToken struct {
	name  string
	kind  Kind
	token string
}

// The keys that badTokens are shown to: those of everyKey and these.
func badSet() []object {
	k := keys()
	return []object{
		jwkEd("d1", k.ed),
		with(jwkRSA("r1", k.otherRSA), object{"alg": "RS256"}),
		with(jwkEC("enc", k.otherEC), object{"use": "enc"}),
		with(jwkEC("derive", k.otherEC), object{"key_ops": []string{"deriveKey"}}),
		jwkRSA("weak", k.weakRSA),
		with(jwkRSA("rs512", k.otherRSA), object{"alg": "RS512"}),
		jwkEC("p384", k.p384),
		{"kty": "oct", "kid": "oct", "k": b64([]byte(first + "!"))},
		with(jwkEd("private", k.otherEd), object{"d": b64(k.otherEd.Seed())}),
		{"kty": "OKP", "crv": "X25519", "kid": "x", "x": b64(make([]byte, 32))},
		{"kty": "EC", "crv": "P-256", "kid": "off", "x": b64(make([]byte, 32)), "y": b64([]byte(strings.Repeat("y", 32)))},
		{"kty": "RSA", "kid": 7}, {"kty": "??"}, {},
	}
}

func badTokens() []badToken {
	return slices.Concat(badSignatures(), badKids(), badForms(), badClaims())
}

// badSignatures are of the wrong key, or made in the wrong way.
func badSignatures() (out []badToken) {
	k, plain := keys(), claimsFor("u1")
	add := func(name string, kind Kind, token string) { out = append(out, badToken{name, kind, token}) }
	none := sign(object{"alg": "none"}, plain, jwt.UnsafeAllowNoneSignatureType)
	good := sign(object{"alg": "HS256"}, plain, first)
	head := strings.Split(good, ".")
	add("none", KindAlgorithm, none)
	add("none, with a signature", KindAlgorithm, none+head[2])
	for _, alg := range []string{"None", "NONE", "nOnE", "", "hs256", "HS255", "HS1", "ES256K", "Ed25519", "dir"} {
		add("alg "+alg, KindAlgorithm, sign(object{"alg": alg}, plain, first))
	}
	add("no signature", KindSignature, head[0]+"."+head[1]+".")
	add("no alg", KindAlgorithm, sign(object{"typ": "JWT"}, plain, first))
	add("alg is a number", KindAlgorithm, sign(object{"alg": 256}, plain, first))
	add("alg is a list", KindAlgorithm, sign(object{"alg": []string{"HS256"}}, plain, first))
	add("another secret", KindSignature, sign(object{"alg": "HS256"}, plain, Secret("a secret of somebody else, of enough bytes")))
	add("an empty secret", KindSignature, sign(object{"alg": "HS256"}, plain, Secret("")))
	add("both secrets as one", KindSignature, sign(object{"alg": "HS256"}, plain, first+","+second))
	add("other claims under a good signature", KindSignature, head[0]+"."+b64([]byte(`{"sub":"root","exp":9999999999}`))+"."+head[2])
	add("another header over a good signature", KindSignature, b64([]byte(`{"alg":"HS384"}`))+"."+head[1]+"."+head[2])
	add("half a signature", KindSignature, head[0]+"."+head[1]+"."+head[2][:20])
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		der, _ := x509.MarshalPKIXPublicKey(k.rsa.Public())
		for name, confused := range map[string]string{
			"the RSA key's PEM":          pemOf(k.rsa.Public()),
			"the RSA key's PEM, trimmed": strings.TrimSpace(pemOf(k.rsa.Public())),
			"the RSA key's DER":          string(der),
			"the RSA key's modulus":      string(k.rsa.N.Bytes()),
			"the EC key's PEM":           pemOf(k.ec.Public()),
			"the set's Ed25519 key":      string(k.ed.Public().(ed25519.PublicKey)),
		} {
			add(alg+" by "+name, KindSignature, sign(object{"alg": alg}, plain, Secret(confused)))
		}
	}
	add("RS256 by another key", KindSignature, sign(object{"alg": "RS256"}, plain, k.weakRSA))
	add("PS256 by a key of the set that is for RS256", KindSignature, sign(object{"alg": "PS256"}, plain, k.otherRSA))
	add("RS384", KindAlgorithm, sign(object{"alg": "RS384"}, plain, k.rsa))
	add("RS512", KindAlgorithm, sign(object{"alg": "RS512"}, plain, k.rsa))
	add("PS512", KindAlgorithm, sign(object{"alg": "PS512"}, plain, k.rsa))
	add("ES384", KindAlgorithm, sign(object{"alg": "ES384"}, plain, k.p384))
	add("ES256 by another key", KindSignature, sign(object{"alg": "ES256"}, plain, k.otherEC))
	add("EdDSA by another key", KindSignature, sign(object{"alg": "EdDSA"}, plain, k.otherEd))
	es := strings.Split(sign(object{"alg": "ES256"}, plain, k.ec), ".")
	add("ES256 of zeros", KindSignature, es[0]+"."+es[1]+"."+b64(make([]byte, 64)))
	add("a key of its own in jwk", KindSignature, sign(object{"alg": "EdDSA", "jwk": jwkEd("", k.otherEd)}, plain, k.otherEd))
	add("a key of its own at jku", KindSignature, sign(object{"alg": "EdDSA", "jku": "https://evil.example/keys"}, plain, k.otherEd))
	add("a key of its own at x5u", KindSignature, sign(object{"alg": "RS256", "x5u": "https://evil.example/cert"}, plain, k.weakRSA))
	add("a key of its own in x5c", KindSignature, sign(object{"alg": "RS256", "x5c": []string{"MIIB"}}, plain, k.weakRSA))
	return out
}

// badKids name a key that has not signed them.
func badKids() (out []badToken) {
	k, plain := keys(), claimsFor("u1")
	add := func(name string, kind Kind, token string) { out = append(out, badToken{"kid: " + name, kind, token}) }
	add("of the set, signed by a secret", KindAlgorithm, sign(object{"alg": "HS256", "kid": "d1"}, plain, first))
	add("of the set, signed by the PEM's key", KindSignature, sign(object{"alg": "RS256", "kid": "r1"}, plain, k.rsa))
	add("of the set, by a public key as secret", KindAlgorithm, sign(object{"alg": "HS256", "kid": "d1"}, plain, Secret(k.ed.Public().(ed25519.PublicKey))))
	add("another key of the set", KindSignature, sign(object{"alg": "RS256", "kid": "r1"}, plain, k.weakRSA))
	add("of a key of another type", KindAlgorithm, sign(object{"alg": "EdDSA", "kid": "r1"}, plain, k.ed))
	add("for an algorithm that the set does not state", KindAlgorithm, sign(object{"alg": "PS256", "kid": "r1"}, plain, k.otherRSA))
	add("a symmetric key of the set", KindSignature, sign(object{"alg": "HS256", "kid": "oct"}, plain, first+"!"))
	for _, kid := range []string{"enc", "derive", "off"} {
		add("which is ignored: "+kid, KindSignature, sign(object{"alg": "ES256", "kid": kid}, plain, k.otherEC))
	}
	add("of a weak key", KindSignature, sign(object{"alg": "RS256", "kid": "weak"}, plain, k.weakRSA))
	add("of a key for RS512", KindSignature, sign(object{"alg": "RS256", "kid": "rs512"}, plain, k.otherRSA))
	add("of a private key", KindKey, sign(object{"alg": "EdDSA", "kid": "private"}, plain, k.otherEd))
	add("unknown", KindKey, sign(object{"alg": "EdDSA", "kid": "../../etc/passwd"}, plain, k.ed))
	add("of another case", KindKey, sign(object{"alg": "EdDSA", "kid": "D1"}, plain, k.ed))
	add("a number", KindMalformed, sign(object{"alg": "EdDSA", "kid": 1}, plain, k.ed))
	add("null", KindMalformed, sign(object{"alg": "HS256", "kid": json.RawMessage("null")}, plain, first))
	return out
}

// badForms are no tokens.
func badForms() (out []badToken) {
	plain := claimsFor("u1")
	add := func(name string, kind Kind, token string) { out = append(out, badToken{name, kind, token}) }
	good := sign(object{"alg": "HS256"}, plain, first)
	part := strings.Split(good, ".")
	for name, token := range map[string]string{
		"nothing": "", "a word": "token", "dots": "..", "more dots": "....", "two parts": part[0] + "." + part[1], "four parts": good + ".x", "five parts": good + ".x.y",
		"Bearer": "Bearer " + good, "a space": good + " ", "a line": good + "\n", "padding": good + "=", "standard base64": part[0] + "." + part[1] + ".+/" + part[2][2:],
		"bits that say nothing": good[:len(good)-1] + flip(good[len(good)-1]),
		"JSON, not base64":      `{"alg":"HS256"}.{}.x`, "a header that is no JSON": b64([]byte("alg")) + "." + part[1] + "." + part[2],
		"a header that is a list":   b64([]byte(`["HS256"]`)) + "." + part[1] + "." + part[2],
		"claims that are no base64": part[0] + ".!." + part[2],
		"JSON serialization":        fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], part[2]),
	} {
		add(name, KindMalformed, token)
	}
	for _, payload := range []string{"", "null", "1", `"u1"`, "[]", "true", "{", `{"sub":"u1"`, "{}{}", `{"sub":"u1",}`, `{'sub':'u1'}`, "\xef\xbb\xbf{}"} {
		kind := KindMalformed
		if payload == "null" {
			kind = KindClaim
		}
		add("claims are "+payload, kind, sign(object{"alg": "HS256"}, payload, first))
	}
	add("claims in claims", KindMalformed, sign(object{"alg": "HS256"}, strings.Repeat("[", 5000), first))
	add("too long", KindMalformed, sign(object{"alg": "HS256"}, with(plain, object{"x": strings.Repeat("x", MaxToken)}), first))
	for name, header := range map[string]object{
		"crit": {"crit": []string{"exp"}}, "crit of nothing": {"crit": []string{}}, "crit null": {"crit": json.RawMessage("null")},
		"b64 that is critical": {"b64": false, "crit": []string{"b64"}},
		"another typ":          {"typ": "logout+jwt"}, "DPoP": {"typ": "dpop+jwt"}, "typ is a number": {"typ": 1},
	} {
		add(name, KindMalformed, sign(with(header, object{"alg": "HS256"}), plain, first))
	}
	return out
}

// flip changes bits of a last character of base64 that no byte holds.
func flip(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

// badClaims are signed well, and say what is not taken.
func badClaims() (out []badToken) {
	plain, now := claimsFor("u1"), time.Now().Unix()
	add := func(name string, kind Kind, payload any) {
		out = append(out, badToken{name, kind, sign(object{"alg": "HS256"}, payload, first)})
	}
	change := func(kind Kind, name string, values ...any) {
		for i, v := range values {
			add(fmt.Sprintf("%s, %d", name, i), kind, with(plain, object{name: v}))
		}
	}
	change(KindClaim, "sub", nil, "", "~guest", "~", "a\nb", "a\x00", strings.Repeat("s", 129), "a\u0085")
	change(KindMalformed, "sub", 1, []string{"u1"}, object{}, true)
	change(KindClaim, "name", "", "  ", strings.Repeat("n", 65), "a\tb")
	change(KindMalformed, "name", 1, []string{})
	change(KindClaim, "jti", "", strings.Repeat("j", 129), "a\rb")
	change(KindMalformed, "jti", 1)
	change(KindClaim, "exp", nil)
	change(KindExpired, "exp", 0, now-5, now-3600, 0.5)
	change(KindMalformed, "exp", "9999999999", -1, 1e12, json.RawMessage("1e308"), json.RawMessage("1e400"), true, []int{1}, fmt.Sprint(now+60))
	change(KindEarly, "nbf", now+6, now+3600)
	change(KindEarly, "iat", now+6, now+3600)
	change(KindMalformed, "nbf", "0", -1)
	change(KindMalformed, "iat", "0", -1, 1e300)
	change(KindLifetime, "exp", now+720*3600+6, 9999999999)
	add("a life that is too long since iat", KindLifetime, with(plain, object{"iat": now - 720*3600}))
	change(KindRooms, "rooms", []string{"lobby"}, "lobby:join", 1, true, object{"lobby": "join"}, object{"lobby": []string{"admin"}}, object{"lobby": nil},
		object{"": []string{}}, object{"a*b": []string{}}, object{"a\n": []string{}}, object{strings.Repeat("r", 201): []string{}})
	exp := fmt.Sprintf(`"exp":%d`, now+60)
	for name, payload := range map[string]string{
		"sub":            `{"sub":"u1","sub":"root",` + exp + `}`,
		"sub, escaped":   `{"sub":"u1","s\u0075b":"root",` + exp + `}`,
		"exp":            `{"sub":"u1",` + exp + `,"exp":1}`,
		"exp, null":      `{"sub":"u1",` + exp + `,"exp":null}`,
		"rooms":          `{"sub":"u1",` + exp + `,"rooms":{"a":["join"]},"rooms":{}}`,
		"a room":         `{"sub":"u1",` + exp + `,"rooms":{"a":["join"],"a":[]}}`,
		"nobody's claim": `{"sub":"u1",` + exp + `,"x":1,"x":2}`,
	} {
		add("twice: "+name, KindMalformed, payload)
	}
	add("another case alone", KindClaim, `{"SUB":"u1",`+exp+`}`)
	add("another case of exp alone", KindClaim, `{"sub":"u1","EXP":9999999999}`)
	add("half a surrogate pair", KindMalformed, `{"sub":"u\ud800",`+exp+`}`)
	add("no UTF-8", KindMalformed, "{\"sub\":\"u\xff\","+exp+"}")
	return out
}

func TestBadTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{keys: badSet()}
		v, log := start(t, everyKey(t), s)
		seen, kinds := map[string]bool{}, map[Kind]int{}
		for _, b := range badTokens() {
			if seen[b.name+string(b.kind)] {
				t.Errorf("%s: twice in the table", b.name)
			}
			seen[b.name+string(b.kind)] = true
			kinds[b.kind]++
			g, err := v.Verify(t.Context(), b.token)
			if err == nil {
				t.Errorf("%s: accepted", b.name)
				continue
			}
			if kind := kindOf(t, err); kind != b.kind {
				t.Errorf("%s: %s (%v), want %s", b.name, kind, err, b.kind)
			}
			if g.UserID != "" || !g.Rooms.IsZero() {
				t.Errorf("%s: an error, and a grant", b.name)
			}
			for _, part := range strings.Split(b.token, ".") {
				if len(part) > 8 && strings.Contains(err.Error(), part) || len(err.Error()) > 250 {
					t.Errorf("%s: the error holds the token: %v", b.name, err)
				}
			}
		}
		t.Logf("%d bad tokens: %v", len(seen), kinds)
		for _, kind := range Kinds() {
			if kinds[kind] == 0 && kind != KindIssuer && kind != KindAudience && kind != KindUnavailable { // which have tests of their own
				t.Errorf("no bad token is %s", kind)
			}
		}
		for _, u := range s.urls {
			if u != jwksURL.String() {
				t.Error("a token made a request to", u)
			}
		}
		if strings.Contains(log.String(), "u1") || strings.Count(log.String(), "\n") > 3 {
			t.Error(log)
		}
	})
}
