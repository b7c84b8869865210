package room

import (
	"strings"
	"testing"

	"context"
	"setu/relay/broker"
	"testing/synctest"
	"time"
)

// After missed changes, members that asked are told everybody who is in the room, and the others
// are told nothing.
func TestMissedPresenceIsReadAnew(t *testing.T) {
	h, _ := newTestHub(t)
	asked, other := guest("asked"), guest("other")
	join(t, h, "room", asked, JoinOptions{Presence: true})
	join(t, h, "room", other, JoinOptions{})
	asked.got("presence")
	r := h.room("room")
	r.Presence(broker.Change{Missed: true})
	r.Presence(broker.Change{Missed: true}) // the first refresh is under way, or done
	h.Wait()
	told := asked.got("presence")
	if len(told) == 0 || len(told) > 2 || !strings.Contains(told[0], `"count":2,"members":[`) ||
		!strings.Contains(told[0], asked.user.ID) || !strings.Contains(told[0], other.user.ID) {
		t.Errorf("told %q", told)
	}
	if told := other.got("presence"); len(told) != 0 {
		t.Errorf("a member that did not ask was told %q", told)
	}
}

// Who joins while the broker can't say who is there is told part of it, and the whole when it can.
func TestPartialListIsMadeGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		f.Memory.Enter(t.Context(), "room", guest("elsewhere").user)
		join(t, h, "room", guest("stay"), JoinOptions{})
		f.set(func() { f.down = true })
		m := guest("m")
		if j := join(t, h, "room", m, JoinOptions{Presence: true}); len(j.Members) != 2 {
			t.Errorf("while the broker is down: %q", j.Members)
		}
		<-time.After(5 * refreshPause)
		f.set(func() { f.down = false })
		<-time.After(2 * refreshPause)
		if got := m.got("presence"); len(got) != 1 || !strings.Contains(got[0], "user-elsewhere") {
			t.Errorf("told %q", got)
		}
	})
}
