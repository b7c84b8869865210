package brokertest

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"setu/relay/broker"
)

// Pages list all rooms that have users, with how many.
func testRooms(t *testing.T, h Harness) {
	relay := openLeased(t, h.New(t, defaults()), 1)[0]
	want := map[string]int{}
	for i := range 250 {
		room := fmt.Sprint("a [room]* ", i)
		for j := range 1 + i%3 {
			if _, err := relay.Enter(t.Context(), room, broker.User{ID: fmt.Sprint("u", j)}); err != nil {
				t.Fatal(err)
			}
			want[room]++
		}
	}
	publish(t, relay, "nobody is here", "ann", "1", "x")
	eventually(t, "left", func() bool {
		relay.Leave("a [room]* 0", "u0")
		_, count, err := relay.MembersNow(t.Context(), "a [room]* 0", 10)
		return err == nil && count == 0
	})
	delete(want, "a [room]* 0")
	for _, limit := range []int{1, 100, 1000} {
		got, pages := map[string]int{}, 0
		for cursor, next := "", ""; pages == 0 || cursor != ""; cursor = next {
			var some []broker.RoomCount
			var err error
			if some, next, err = relay.Rooms(t.Context(), cursor, limit); err != nil {
				t.Fatal(err)
			}
			for _, r := range some {
				got[r.Room] = r.Count
			}
			if pages++; pages > 1000 {
				t.Fatal("no end")
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("by %d: %d rooms, %v", limit, len(got), got)
		}
	}
	if h.Shared {
		if _, _, err := relay.Rooms(t.Context(), "no cursor", 10); !errors.Is(err, broker.ErrCursor) {
			t.Error(err)
		}
	}
	relay.Close(t.Context())
	if _, _, err := relay.Rooms(t.Context(), "", 10); !errors.Is(err, broker.ErrClosed) {
		t.Error("closed: ", err)
	}
}
