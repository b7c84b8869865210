package events

import (
	"testing"

	"setu/relay/limit"
)

// What an event is limited as is what its handler takes.
func TestKindOf(t *testing.T) {
	lobby, err := ParseLobbyEvents([]string{"said", "typing=volatile"})
	if err != nil {
		t.Fatal(err)
	}
	root := &Root{lobbyEvents: lobby}
	for name, want := range map[string]limit.Kind{
		"join": limit.Join, "leave": limit.Event, "publish": limit.Publish, "annotate": limit.Publish, "signal": limit.Signal,
		"history": limit.History, "members": limit.History, "token": limit.Event, "ping": limit.Event, "relays": limit.Event,
		"said": limit.Publish, "typing": limit.Signal, "nonsense": limit.Event,
	} {
		if k := root.KindOf([]byte(name)); k != want {
			t.Errorf("%s is limited as %s, not as %s", name, k, want)
		}
	}
}
