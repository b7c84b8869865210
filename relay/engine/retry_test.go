package engine

import (
	"context"
	"setu/relay/wiretest"
	"strings"
	"testing"
	"testing/synctest"
)

// A browser that finds a kept connection dead sends its request again, over another: with the same
// t. The first may have been answered already, to nobody.
func TestRequestComesAgain(t *testing.T) {
	stamped := func(p *wiretest.Poller, method, stamp, body string) wiretest.Reply {
		if method == "GET" {
			return p.Send(context.Background(), method, "&t="+stamp, nil)
		}
		return p.Send(context.Background(), method, "&t="+stamp, strings.NewReader(body))
	}
	t.Run("GET", func(t *testing.T) {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.Poll()
			stamped(p, "POST", "a", "4one").Is(t, 200, "ok")
			stamped(p, "GET", "b", "").Is(t, 200, "4one")
			stamped(p, "POST", "c", "4two").Is(t, 200, "ok")
			stamped(p, "GET", "b", "").Is(t, 400, wiretest.UnknownSID)
			synctest.Wait()
			if n := r.srv.Count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	})
	t.Run("POST", func(t *testing.T) {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.Poll()
			for _, stamp := range []string{"a", "b", "b", "c"} {
				stamped(p, "POST", stamp, "4"+stamp).Is(t, 200, "ok")
			}
			p.Get().Is(t, 200, "4a\x1e4b\x1e4c")
		})
	})
	t.Run("one t for all", func(t *testing.T) {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.Poll()
			for range 3 {
				stamped(p, "POST", "same", "4x").Is(t, 200, "ok")
				stamped(p, "GET", "same", "").Is(t, 200, "4x")
			}
		})
	})
}
