package engine

import (
	"fmt"
	"runtime/debug"
	"testing"
	"time"
)

// While sessions come in a storm garbage is collected sooner, and as ever once they have; or as ever all along, if that
// is sooner.
func TestStormsHastenTheCollector(t *testing.T) {
	for _, c := range []struct{ usual, storm int }{{100, stormGC}, {stormGC - 5, stormGC - 5}, {-1, -1}} {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			defer debug.SetGCPercent(debug.SetGCPercent(c.usual))
			<-time.After(memoryCheckInterval / 2) // between two looks
			is := func(want int, when string) {
				t.Helper()
				<-time.After(memoryCheckInterval)
				if got := gcPercent(); got != want {
					t.Errorf("GOGC=%d, %s: %d instead of %d", c.usual, when, got, want)
				}
			}
			is(c.usual, "before the storm")
			for second := range 2 {
				r.srv.mu.Lock()
				for i := range stormSessions / 10 {
					r.srv.sessions[fmt.Sprint(second, ".", i)] = nil
				}
				r.srv.mu.Unlock()
				is(c.storm, "in the storm")
			}
			is(c.usual, "after the storm")
			r.srv.mu.Lock()
			clear(r.srv.sessions)
			r.srv.mu.Unlock()
		})
	}
}
