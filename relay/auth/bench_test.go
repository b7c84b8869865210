package auth

import (
	"crypto"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

func BenchmarkVerify(b *testing.B) {
	k := keys()
	payload := with(claimsFor("u1"), object{"name": "Asha", "jti": "t1", "rooms": object{"lobby": []string{"join", "publish"}, "team-*": []string{"join"}}})
	for _, c := range []struct {
		alg    string
		key    any
		public crypto.PublicKey
	}{{"HS256", first, nil}, {"ES256", k.ec, k.ec.Public()}, {"EdDSA", k.ed, k.ed.Public()}, {"RS256", k.rsa, k.rsa.Public()}} {
		b.Run(c.alg, func(b *testing.B) {
			cfg := Config{Secrets: []Secret{first, second}, MaxTTL: 720 * time.Hour}
			if c.public != nil {
				cfg.PublicKeys, _ = ParsePublicKeys(pemOf(c.public))
			}
			v, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			token := sign(object{"alg": c.alg}, payload, c.key)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRoomsOf(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		rules := map[string]Rights{"lobby": Join}
		for i := range n - 1 {
			rules[fmt.Sprintf("team-%d-*", i)] = Join | Publish
		}
		r, err := newRooms(rules)
		if err != nil {
			b.Fatal(err)
		}
		for _, room := range []string{"lobby", "team-7-red", "nowhere"} {
			b.Run(fmt.Sprintf("%d/%s", n, room), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r.Of(room)
				}
			})
		}
	}
}
