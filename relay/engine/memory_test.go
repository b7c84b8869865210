package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A storm is told of while sessions come, and is over when few have for a while, or when the server is.
func TestStormsAreTold(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		var told []bool
		done, over := make(chan struct{}), make(chan struct{})
		go func() {
			r.srv.releaseMemory(done, func(comes bool) { told = append(told, comes) })
			close(over)
		}()
		<-time.After(memoryCheckInterval / 2) // between two looks
		look := 0
		come := func(n int) {
			look++
			r.srv.mu.Lock()
			for i := range n {
				r.srv.sessions[fmt.Sprint(look, ".", i)] = nil
			}
			r.srv.mu.Unlock()
			<-time.After(memoryCheckInterval)
		}
		for _, n := range []int{stormRate - 1, stormRate, calmRate + 1} {
			come(n)
		}
		for range calmChecks + 1 {
			come(calmRate)
		}
		come(stormRate)
		close(done)
		<-over
		if want := []bool{true, false, true, false}; !slices.Equal(told, want) {
			t.Errorf("told %v instead of %v", told, want)
		}
		r.srv.mu.Lock()
		clear(r.srv.sessions)
		r.srv.mu.Unlock()
	})
}
