package room

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The store is told of somebody who is back within the grace only if they go by another name, or by one
// that it may not have any more. A grace begins anew with each end of a connection.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		asks, ben := guest("asks"), guest("ben")
		join(t, h, "room", asks, JoinOptions{Presence: true})
		join(t, h, "room", ben, JoinOptions{})
		entered := func(when string, want int) {
			t.Helper()
			f.mu.Lock()
			defer f.mu.Unlock()
			n := len(slices.DeleteFunc(slices.Clone(f.entered), func(id string) bool { return id != ben.user.ID }))
			if n != want {
				t.Errorf("%s ben has entered %d times, want %d", when, n, want)
			}
			f.entered = nil
		}
		entered("at first", 1)
		for range 3 {
			h.LeaveForNow("room", ben)
			<-time.After(LeaveGrace - time.Second)
			if j := join(t, h, "room", ben, JoinOptions{Presence: true}); j.Count != 2 || len(j.Members) != 2 {
				t.Errorf("back in a room of %d: %q", j.Count, j.Members)
			}
		}
		entered("back in time", 0)

		renamed := ben.User()
		renamed.Name = "Benedict"
		h.LeaveForNow("room", ben)
		ben.Rename(renamed)
		join(t, h, "room", ben, JoinOptions{})
		entered("by another name", 1)
		<-time.After(time.Second)
		asks.got("presence")

		h.LeaveForNow("room", ben)
		elsewhere := renamed
		elsewhere.Name = "Ben again"
		if _, err := f.Memory.Enter(t.Context(), "room", elsewhere); err != nil { // over another relay
			t.Fatal(err)
		}
		synctest.Wait()
		join(t, h, "room", ben, JoinOptions{})
		entered("by the name before another", 1)
		<-time.After(time.Second)
		asks.got("presence")

		h.Leave("room", ben)
		join(t, h, "room", ben, JoinOptions{})
		entered("after a leave", 1)
		h.LeaveForNow("room", ben)
		<-time.After(LeaveGrace + time.Second)
		if got := asks.got("presence"); len(got) == 0 || !strings.Contains(got[len(got)-1], `"left":[{"id":"user-ben"`) {
			t.Errorf("gone for good: %q", got)
		}
	})
}
