package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// edToken returns a token signed by the Ed25519 key of the tests, good for as long as any may be.
func edToken(kid string) string {
	return sign(object{"alg": "EdDSA", "kid": kid}, object{"sub": "u1", "exp": time.Now().Add(719 * time.Hour).Unix()}, keys().ed)
}

func verdict(t *testing.T, v *Verifier, token string) Kind {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); err != nil {
		return kindOf(t, err)
	}
	return ""
}

func TestKeysAreFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{keys: []object{jwkEd("one", keys().ed)}}
		v, log := start(t, Config{}, s)
		for range 20 {
			time.Sleep(jwksEvery)
		}
		if n := s.asked.Load(); n < 18 || n > 24 {
			t.Errorf("%d fetches in 20 intervals", n)
		}
		token := edToken("one")
		if got := verdict(t, v, token); got != "" {
			t.Error(got)
		}
		s.set(func(s *site) { s.keys = []object{jwkEd("two", keys().ed)} })
		time.Sleep(2 * jwksEvery)
		if got := verdict(t, v, token); got != KindKey {
			t.Error("a key that was taken out: ", got)
		}
		s.set(func(s *site) { s.keys = []object{} })
		time.Sleep(2 * jwksEvery)
		if got := verdict(t, v, edToken("two")); got != KindKey {
			t.Error("all keys were taken out: ", got)
		}
		if n := strings.Count(log.String(), "\n"); n != 4 { // the audience, one, two, none
			t.Errorf("%d lines: %s", n, log)
		}
	})
}

// A kid that is not known has the keys fetched at once, and at most once a minute.
func TestUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{keys: []object{jwkEd("one", keys().ed)}}
		v, _ := start(t, Config{}, s)
		s.set(func(s *site) { s.keys = []object{jwkEd("two", keys().ed)}; s.delay = time.Second })
		begin := time.Now()
		if got := verdict(t, v, edToken("two")); got != KindKey || time.Since(begin) != 0 {
			t.Errorf("within the first minute: %q after %v", got, time.Since(begin))
		}
		time.Sleep(jwksBetween + 2*time.Second) // what was asked for comes when the minute is over
		if got := verdict(t, v, edToken("two")); got != "" || s.asked.Load() != 2 {
			t.Errorf("%q after %d fetches", got, s.asked.Load())
		}
		s.set(func(s *site) { s.keys = []object{jwkEd("three", keys().ed)} })
		time.Sleep(jwksBetween)
		begin = time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got := verdict(t, v, edToken("three")); got != "" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		if d := time.Since(begin); d != time.Second || s.asked.Load() != 3 {
			t.Errorf("after %v and %d fetches", d, s.asked.Load())
		}
		for i := range 1000 { // an attack, for ten minutes
			if got := verdict(t, v, edToken(fmt.Sprint("x", i))); got != KindKey && got != KindUnavailable {
				t.Fatal(got)
			}
			time.Sleep(600 * time.Millisecond)
		}
		if n := s.asked.Load(); n < 8 || n > 15 {
			t.Errorf("%d fetches", n)
		}
		for range 50 { // neither of these is a reason to fetch
			verdict(t, v, sign(object{"alg": "HS256", "kid": "none"}, claimsFor("u1"), first))
			verdict(t, v, sign(object{"alg": "EdDSA"}, claimsFor("u1"), keys().otherEd))
			verdict(t, v, sign(object{"alg": "EdDSA", "kid": "three"}, claimsFor("u1"), keys().otherEd))
			verdict(t, v, sign(object{"alg": "EdDSA", "kid": "x"}, "[]", keys().otherEd))
		}
	})
}

// What can't be the reason for a fetch is none.
func TestWhatFetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{keys: []object{jwkEd("one", keys().ed)}}
		v, _ := start(t, everyKey(t), s)
		time.Sleep(5 * time.Minute)
		for _, token := range []string{
			sign(object{"alg": "HS256", "kid": "x"}, claimsFor("u1"), Secret("a secret of somebody else, of enough bytes")),
			sign(object{"alg": "ES256", "kid": "x"}, claimsFor("u1"), keys().ec),
			sign(object{"alg": "ES256", "kid": "x"}, with(claimsFor("u1"), object{"exp": 1}), keys().ec),
			sign(object{"alg": "ES256", "kid": "x"}, claimsFor("~u"), keys().ec),
			sign(object{"alg": "HS256", "kid": "x"}, claimsFor("u1"), first),
			sign(object{"alg": "EdDSA"}, claimsFor("u1"), keys().otherEd),
			sign(object{"alg": "EdDSA", "kid": "one"}, claimsFor("u1"), keys().otherEd),
			sign(object{"alg": "EdDSA", "kid": "x"}, "[]", keys().otherEd),
			sign(object{"alg": "ES384", "kid": "x"}, claimsFor("u1"), keys().p384),
			"x.y.z",
		} {
			verdict(t, v, token)
		}
		time.Sleep(5 * time.Minute)
		if n := s.asked.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestVerifyWaitsForKeysAndNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{keys: []object{jwkEd("one", keys().ed)}, delay: 1500 * time.Millisecond}
		v, _ := start(t, Config{Secrets: []Secret{first}}, s)
		begin := time.Now()
		if got := verdict(t, v, sign(object{"alg": "HS256"}, claimsFor("u1"), first)); got != "" || time.Since(begin) != 0 {
			t.Error("a secret's token waits for no keys: ", got, time.Since(begin))
		}
		if got := verdict(t, v, edToken("")); got != "" || time.Since(begin) != 1500*time.Millisecond {
			t.Error("the first fetch: ", got, time.Since(begin))
		}
		s.set(func(s *site) { s.delay = time.Hour })
		time.Sleep(jwksBetween)
		begin = time.Now()
		if got := verdict(t, v, edToken("two")); got != KindUnavailable || time.Since(begin) != jwksWait {
			t.Error(got, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if _, err := v.Verify(ctx, edToken("two")); kindOf(t, err) != KindUnavailable || time.Since(begin) != time.Second {
			t.Error(err, time.Since(begin))
		}
		time.Sleep(jwksTimeout)
		if got := verdict(t, v, edToken("one")); got != "" {
			t.Error("known keys go on: ", got)
		}
		v.Close()
		time.Sleep(jwksBetween)
		begin = time.Now()
		if got := verdict(t, v, edToken("two")); got != KindUnavailable || time.Since(begin) != 0 {
			t.Error("after Close: ", got, time.Since(begin))
		}
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{err: errors.New("no route to host")}
		v, log := start(t, Config{}, s)
		if got := verdict(t, v, edToken("one")); got != KindUnavailable {
			t.Error("never fetched: ", got)
		}
		time.Sleep(5 * time.Minute)
		if n := s.asked.Load(); n < 7 || n > 12 {
			t.Errorf("%d tries in five minutes", n)
		}
		s.set(func(s *site) { s.err, s.keys = nil, []object{jwkEd("one", keys().ed)} })
		time.Sleep(2 * time.Minute)
		token := edToken("one")
		if got := verdict(t, v, token); got != "" {
			t.Error("it is back: ", got)
		}
		s.set(func(s *site) { s.status = http.StatusServiceUnavailable })
		time.Sleep(jwksKeep - 20*time.Minute)
		if got := verdict(t, v, token); got != "" {
			t.Error("not a day yet: ", got)
		}
		if got := verdict(t, v, edToken("two")); got != KindUnavailable {
			t.Error("nobody can know: ", got)
		}
		time.Sleep(40 * time.Minute)
		if got := verdict(t, v, token); got != KindUnavailable {
			t.Error("too old: ", got)
		}
		s.set(func(s *site) { s.status = 0 })
		time.Sleep(2 * time.Minute)
		if got := verdict(t, v, token); got != "" {
			t.Error("it is back once more: ", got)
		}
		lines := 0
		for line := range strings.Lines(log.String()) {
			if !strings.Contains(line, "level=DEBUG") {
				lines++
			}
		}
		if lines != 6 || !strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "s3cr3t") {
			t.Errorf("%d lines: %s", lines, log) // the audience, failed, fetched, failed, too old, fetched
		}
	})
}

func TestAnswersThatAreNoKeys(t *testing.T) {
	many := make([]object, maxJWKSKeys+1)
	for i := range many {
		many[i] = jwkEd(fmt.Sprint("k", i), keys().otherEd)
	}
	many[maxJWKSKeys] = jwkEd("one", keys().ed)
	for name, c := range map[string]struct {
		site *site
		want Kind
	}{
		"good":             {&site{keys: []object{{"kty": "new"}, jwkEd("one", keys().ed)}}, ""},
		"HTML":             {&site{body: "<html>"}, KindUnavailable},
		"no keys":          {&site{body: "{}"}, KindUnavailable},
		"null":             {&site{body: "null"}, KindUnavailable},
		"keys of no list":  {&site{body: `{"keys": {}}`}, KindUnavailable},
		"an empty list":    {&site{body: `{"keys": []}`}, KindKey},
		"404":              {&site{status: 404, keys: []object{jwkEd("one", keys().ed)}}, KindUnavailable},
		"204":              {&site{status: 204, keys: []object{jwkEd("one", keys().ed)}}, KindUnavailable},
		"too long":         {&site{body: `{"keys": []}` + strings.Repeat(" ", maxJWKS)}, KindUnavailable},
		"too many":         {&site{keys: many}, KindKey},
		"as many":          {&site{keys: many[1:]}, ""},
		"elsewhere":        {&site{to: "https://evil.example/keys"}, KindUnavailable},
		"to plain HTTP":    {&site{to: "http://id.example/keys"}, KindUnavailable},
		"another port":     {&site{to: "https://id.example:8443/keys"}, KindUnavailable},
		"there and back":   {&site{to: "/keys"}, KindUnavailable},
		"a private key":    {&site{keys: []object{with(jwkEd("one", keys().ed), object{"d": b64(keys().ed.Seed())})}}, KindKey},
		"x5c of nonsense":  {&site{keys: []object{with(jwkEd("one", keys().ed), object{"x5c": []string{"!"}, "x5t": "x", "x5u": "http://evil.example"})}}, ""},
		"for encryption":   {&site{keys: []object{with(jwkEd("one", keys().ed), object{"use": "enc"})}}, KindKey},
		"for signing only": {&site{keys: []object{with(jwkEd("one", keys().ed), object{"key_ops": []string{"sign"}})}}, KindKey},
	} {
		synctest.Test(t, func(t *testing.T) {
			v, log := start(t, Config{}, c.site)
			if got := verdict(t, v, edToken("one")); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
			for _, u := range c.site.urls {
				if !strings.HasPrefix(u, "https://id.example/keys") {
					t.Errorf("%s: it went to %s", name, u)
				}
			}
			if strings.Contains(log.String(), "s3cr3t") {
				t.Errorf("%s: the query is logged: %s", name, log)
			}
		})
	}
}

// Over a socket: what is written there is what is read.
func TestJWKSOverHTTP(t *testing.T) {
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","x":%q}]}`, jwkEd("", keys().ed)["x"])
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/keys", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(set))
	}))
	defer srv.Close()
	u, err := ParseJWKSURL(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(Config{JWKS: u, MaxTTL: 720 * time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.Verify(t.Context(), edToken("one")); err != nil {
		t.Error(err)
	}
}
