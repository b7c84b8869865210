package room

import (
	"strings"
	"testing"

	"setu/relay/broker"
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
