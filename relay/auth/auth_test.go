package auth

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// everyKey is a config with keys of all sources but a JWKS.
func everyKey(t testing.TB) Config {
	t.Helper()
	public, err := ParsePublicKeys(pemOf(keys().rsa.Public()) + pemOf(keys().ec.Public()))
	if err != nil {
		t.Fatal(err)
	}
	return Config{Secrets: []Secret{first, second}, PublicKeys: public, MaxTTL: 720 * time.Hour}
}

func TestGoodTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keys()
		v, _ := start(t, everyKey(t), &site{keys: []object{jwkEd("d1", k.ed), with(jwkRSA("r1", k.otherRSA), object{"alg": "PS256", "use": "sig"}),
			with(jwkEC("e1", k.otherEC), object{"key_ops": []string{"verify"}})}})
		now := time.Now()
		plain, exp := claimsFor("u1"), time.Unix(now.Add(time.Hour).Unix(), 0)
		grant := Grant{UserID: "u1", Expires: exp}
		named := func(name string) Grant { g := grant; g.Name = name; return g }
		rules := rooms(t, "lobby:join team-*:join,publish")
		for name, c := range map[string]struct {
			token string
			want  Grant
		}{
			"HS256":                     {sign(object{"alg": "HS256", "typ": "JWT"}, plain, first), grant},
			"HS256, the second secret":  {sign(object{"alg": "HS256"}, plain, second), grant},
			"HS384":                     {sign(object{"alg": "HS384", "typ": "jwt"}, plain, first), grant},
			"HS512":                     {sign(object{"alg": "HS512", "typ": "application/at+jwt"}, plain, second), grant},
			"RS256":                     {sign(object{"alg": "RS256", "typ": "at+JWT"}, plain, k.rsa), grant},
			"PS256":                     {sign(object{"alg": "PS256"}, plain, k.rsa), grant},
			"ES256":                     {sign(object{"alg": "ES256"}, plain, k.ec), grant},
			"EdDSA":                     {sign(object{"alg": "EdDSA", "kid": "d1"}, plain, k.ed), grant},
			"EdDSA without kid":         {sign(object{"alg": "EdDSA"}, plain, k.ed), grant},
			"PS256 of the set":          {sign(object{"alg": "PS256", "kid": "r1"}, plain, k.otherRSA), grant},
			"ES256 of the set":          {sign(object{"alg": "ES256", "kid": "e1"}, plain, k.otherEC), grant},
			"a kid of nobody, a secret": {sign(object{"alg": "HS256", "kid": "mine"}, plain, first), grant},
			"a kid of nobody, a PEM":    {sign(object{"alg": "RS256", "kid": "mine"}, plain, k.rsa), grant},
			"headers that are not read": {sign(object{"alg": "HS256", "jku": "https://evil.example", "x5u": "https://evil.example", "b64": false}, plain, first), grant},
			"a name":                    {sign(object{"alg": "HS256"}, with(plain, object{"name": " Asha "}), first), named("Asha")},
			"a name of 64 characters":   {sign(object{"alg": "HS256"}, with(plain, object{"name": strings.Repeat("ä", 64)}), first), named(strings.Repeat("ä", 64))},
			"null for what is not there": {sign(object{"alg": "HS256"},
				`{"sub":"u1","exp":`+fmt.Sprint(exp.Unix())+`,"name":null,"jti":null,"iss":null,"aud":null,"nbf":null,"iat":null,"rooms":null}`, first), grant},
			"other claims": {sign(object{"alg": "HS256"}, with(plain, object{"roles": []string{"x"}, "SUB": "u2", "Name": "B", "\u017fub": "u3", "scope": nil}), first), grant},
			"a sub of a guest's old shape": {sign(object{"alg": "HS256"}, with(plain, object{"sub": "abcdefgh_-012345"}), first),
				Grant{UserID: "abcdefgh_-012345", Expires: exp}},
			"all": {sign(object{"alg": "HS256"}, with(plain, object{"name": "A", "jti": "t1", "iat": now.Unix(), "nbf": now.Unix(), "iss": "x", "aud": []string{"y"},
				"rooms": object{"lobby": []string{"join"}, "team-*": []string{"publish", "join"}}}), first),
				Grant{UserID: "u1", Name: "A", TokenID: "t1", Issued: time.Unix(now.Unix(), 0), Expires: exp, Rooms: rules}},
			"within the leeway": {sign(object{"alg": "HS256"}, object{"sub": "u1", "exp": now.Unix() - 4, "nbf": 0}, first),
				Grant{UserID: "u1", Expires: time.Unix(now.Unix()-4, 0)}},
			"a clock ahead": {sign(object{"alg": "HS256"}, with(plain, object{"iat": now.Unix() + 5, "nbf": now.Unix() + 5}), first),
				Grant{UserID: "u1", Issued: time.Unix(now.Unix()+5, 0), Expires: exp}},
			"parts of a second": {sign(object{"alg": "HS256"}, with(plain, object{"exp": float64(now.Unix()) + 60.5}), first),
				Grant{UserID: "u1", Expires: time.Unix(now.Unix()+60, 5e8)}},
			"the longest": {sign(object{"alg": "HS256"}, with(plain, object{"iat": now.Unix(), "exp": now.Unix() + 720*3600}), first),
				Grant{UserID: "u1", Issued: time.Unix(now.Unix(), 0), Expires: time.Unix(now.Unix()+720*3600, 0)}},
		} {
			got, err := v.Verify(t.Context(), c.token)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %+v, want %+v: %v", name, got, c.want, err)
			}
		}
	})
}

func TestIssuerAndAudience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := start(t, Config{Secrets: []Secret{first}, Issuer: "https://id.example", Audience: "chat"}, nil)
		good := with(claimsFor("u1"), object{"iss": "https://id.example", "aud": "chat"})
		for _, aud := range []any{"chat", []string{"mail", "chat"}} {
			if _, err := v.Verify(t.Context(), sign(object{"alg": "HS256"}, with(good, object{"aud": aud}), first)); err != nil {
				t.Error(aud, err)
			}
		}
		for _, c := range []struct {
			change object
			want   Kind
		}{
			{object{"iss": "https://id.example/"}, KindIssuer},
			{object{"iss": ""}, KindIssuer},
			{object{"iss": nil}, KindIssuer},
			{object{"iss": []string{"https://id.example"}}, KindMalformed},
			{object{"aud": "Chat"}, KindAudience},
			{object{"aud": ""}, KindAudience},
			{object{"aud": nil}, KindAudience},
			{object{"aud": []string{}}, KindAudience},
			{object{"aud": []string{"mail"}}, KindAudience},
			{object{"aud": []any{"chat", 1}}, KindMalformed},
			{object{"aud": object{"chat": true}}, KindMalformed},
			{object{"aud": nil, "iss": nil}, KindIssuer},
			{object{"iss": "x", "exp": 1}, KindIssuer},
		} {
			_, err := v.Verify(t.Context(), sign(object{"alg": "HS256"}, with(good, c.change), first))
			if kind := kindOf(t, err); kind != c.want {
				t.Errorf("%v: %s, want %s", c.change, kind, c.want)
			}
		}
	})
}

// Without a kid a token is tried by so many keys, and no more.
func TestHowManyKeysAreTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set []object
		for i := range maxTried - 1 {
			set = append(set, jwkEC(fmt.Sprint("k", i), keys().otherEC))
		}
		set = append(set, jwkEC("last", keys().ec), jwkEC("beyond", keys().ec))
		s := &site{keys: set}
		v, _ := start(t, Config{}, s)
		token := sign(object{"alg": "ES256"}, claimsFor("u1"), keys().ec)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
		s.set(func(s *site) { s.keys = append([]object{jwkEC("k", keys().otherEC)}, set...) })
		time.Sleep(2 * jwksEvery) // on a faked clock
		if _, err := v.Verify(t.Context(), token); kindOf(t, err) != KindSignature {
			t.Error(err)
		}
		if _, err := v.Verify(t.Context(), sign(object{"alg": "ES256", "kid": "beyond"}, claimsFor("u1"), keys().ec)); err != nil {
			t.Error("by its kid: ", err)
		}
	})
}

func TestNoKeyNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := start(t, Config{}, nil)
		_, err := v.Verify(t.Context(), sign(object{"alg": "HS256"}, claimsFor("u1"), Secret("")))
		if kindOf(t, err) != KindKey || !strings.Contains(err.Error(), "guests only") {
			t.Error(err)
		}
	})
	if _, err := New(Config{Mode: Required, MaxTTL: time.Hour}, nil); err == nil {
		t.Error("a relay that wants tokens and can't check any")
	}
	if _, err := New(Config{}, nil); err == nil {
		t.Error("a config without a bound")
	}
	v, err := New(Config{MaxTTL: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(context.Background(), ""); kindOf(t, err) != KindKey {
		t.Error(err)
	}
	v.Close()
}

// Nothing prints a secret, or a token.
func TestSecretsAreNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everyKey(t)
		v, log := start(t, cfg, &site{})
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+verb+verb+verb, cfg, &cfg, cfg.Secrets, v)
		}
		shown := out.String() + log.String()
		for _, secret := range []Secret{first, second} {
			for _, form := range []string{string(secret), fmt.Sprintf("%x", string(secret)), fmt.Sprintf("%X", string(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
				if strings.Contains(shown, form[:12]) {
					t.Errorf("%.12s is shown", form)
				}
			}
		}
		if strings.Contains(log.String(), "s3cr3t") {
			t.Error("the query of the URL is shown")
		}
	})
}
