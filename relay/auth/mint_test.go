package auth

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsMintedVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Secrets: []Secret{first, second}, Issuer: "me", Audience: "chat", MaxTTL: 720 * time.Hour}
		v, _ := start(t, cfg, nil)
		in := func(d time.Duration) time.Time { return time.Unix(time.Now().Add(d).Unix(), 0) }
		for _, g := range []Grant{
			{UserID: "u1", Expires: in(time.Second)},
			{UserID: "ü 1", Name: "<Asha & Ben>", TokenID: "t1", Issued: in(-time.Hour), Expires: in(time.Hour),
				Rooms: rooms(t, `{"my room":["join"],"team-*":[],"*":["publish","invisible"]}`)},
			{UserID: strings.Repeat("u", 128), Name: strings.Repeat("n", 64), TokenID: strings.Repeat("t", 128), Expires: in(720 * time.Hour)},
		} {
			token, err := cfg.Mint(g)
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Verify(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			if g.TokenID == "" {
				if g.TokenID = got.TokenID; len(got.TokenID) < 20 {
					t.Error("a made-up jti: ", got.TokenID)
				}
			}
			if g.Issued.IsZero() {
				g.Issued = in(0)
			}
			if !reflect.DeepEqual(got, g) {
				t.Errorf("%+v, want %+v", got, g)
			}
			cfg := cfg
			cfg.Secrets = []Secret{second, first}
			other, _ := start(t, cfg, nil)
			if _, err := other.Verify(t.Context(), token); err != nil {
				t.Error("while secrets change: ", err)
			}
			cfg.Secrets = []Secret{second}
			other, _ = start(t, cfg, nil)
			if _, err := other.Verify(t.Context(), token); kindOf(t, err) != KindSignature {
				t.Error("the first one signs: ", err)
			}
		}
	})
}

func TestWhatIsNotMinted(t *testing.T) {
	cfg := Config{Secrets: []Secret{first}, MaxTTL: time.Hour}
	good := Grant{UserID: "u1", Expires: time.Now().Add(time.Minute)}
	var many strings.Builder
	for i := range 700 {
		fmt.Fprintf(&many, "room-%d:join ", i)
	}
	for why, change := range map[string]func(*Grant){
		"sub is missing":                func(g *Grant) { g.UserID = "" },
		"sub must not begin":            func(g *Grant) { g.UserID = "~u" },
		"name must have":                func(g *Grant) { g.Name = strings.Repeat("n", 65) },
		"jti must have":                 func(g *Grant) { g.TokenID = "\n" },
		"longer than 1h0m0s":            func(g *Grant) { g.Expires = time.Now().Add(2 * time.Hour) },
		"would end before it begins":    func(g *Grant) { g.Expires = time.Now().Add(-time.Minute) },
		"seconds since 1970":            func(g *Grant) { g.Expires = time.Time{} },
		"bytes: at most 8192 are taken": func(g *Grant) { g.Rooms = rooms(t, many.String()) },
	} {
		g := good
		change(&g)
		if token, err := cfg.Mint(g); err == nil || token != "" || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %q %v", why, token, err)
		}
	}
	cfg.Secrets = nil
	if _, err := cfg.Mint(good); err == nil || !strings.Contains(err.Error(), "AUTH_SECRET is not set") {
		t.Error(err)
	}
}
