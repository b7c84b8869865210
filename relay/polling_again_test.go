package relay

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
)

// A browser that finds a kept connection dead sends its request again, over another: with the same t. The first may have been
// answered already, to nobody.
func TestRequestComesAgain(t *testing.T) {
	stamped := func(p *polls, method, stamp, body string) reply {
		if method == "GET" {
			return p.send(context.Background(), method, "&t="+stamp, nil)
		}
		return p.send(context.Background(), method, "&t="+stamp, strings.NewReader(body))
	}
	t.Run("GET", func(t *testing.T) {
		engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.polls()
			stamped(p, "POST", "a", "4one").is(t, 200, "ok")
			stamped(p, "GET", "b", "").is(t, 200, "4one")
			stamped(p, "POST", "c", "4two").is(t, 200, "ok")
			stamped(p, "GET", "b", "").is(t, 400, unknownSID)
			synctest.Wait()
			if n := r.srv.count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	})
	t.Run("POST", func(t *testing.T) {
		engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.polls()
			for _, stamp := range []string{"a", "b", "b", "c"} {
				stamped(p, "POST", stamp, "4"+stamp).is(t, 200, "ok")
			}
			p.get().is(t, 200, "4a\x1e4b\x1e4c")
		})
	})
	t.Run("one t for all", func(t *testing.T) {
		engineOverPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.polls()
			for range 3 {
				stamped(p, "POST", "same", "4x").is(t, 200, "ok")
				stamped(p, "GET", "same", "").is(t, 200, "4x")
			}
		})
	})
}
