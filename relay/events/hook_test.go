package events

import (
	"testing"
	"testing/synctest"
	"time"
)

// A worker that waits for a slow app has a break before its client's heartbeat fails, however much there is
// to be asked; one that had a break goes on.
func TestTired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a app
		ask := func(takes time.Duration) bool {
			if a.isTired() {
				return false
			}
			time.Sleep(takes)
			a.ended = time.Now()
			return true
		}
		for round := range 3 {
			began, asked := time.Now(), 0
			for ask(2 * time.Second) {
				asked++
			}
			if took := time.Since(began); took > hookPatience+2*time.Second || asked != 6 || ask(0) {
				t.Errorf("round %d: asked %d times in %v", round, asked, took)
			}
			time.Sleep(hookBreak + time.Millisecond)
		}
		for range 1000 { // what comes by and by is no strain
			if !ask(time.Second) {
				t.Fatal("tired")
			}
			time.Sleep(hookBreak + time.Millisecond)
		}
	})
}
