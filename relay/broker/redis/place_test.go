package redis_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
)

// at is a relay at a place; a relay of before says none.
func at(s *server, place broker.Place) redis.Config {
	cfg := withLease(s, 10*time.Second)
	cfg.Self = broker.Peer{Node: "node-" + place.Relay, Place: place}
	return cfg
}

// awaitPlaces waits until both relays say this of where the only user of a room is.
func awaitPlaces(t *testing.T, want string, relays ...*redis.Broker) {
	t.Helper()
	for _, b := range relays {
		var got string
		eventually(t, "with the places "+want, func() bool {
			users, _, err := b.MembersNow(t.Context(), "room", 9)
			if got = strings.Join(users, " "); err != nil || len(users) != 1 {
				return false
			}
			return got == `{"id":"~asha","name":"Asha","guest":true`+want+`}`
		})
		if t.Failed() {
			t.Log(got)
		}
	}
}

// A user of one room over several relays is at all of them, as long as each has the user; relays of before take
// part, and are nowhere.
func TestRedisPlaces(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	fra, nrt := broker.Place{Region: "fra", Relay: "a.b,c|d\""}, broker.Place{Region: "nrt", Relay: "two"}
	first, second := open(t, at(s, fra)), open(t, at(s, nrt))
	before := withLease(s, 10*time.Second)
	old := open(t, before)

	heard := make(changesHeard, 64)
	stop, err := old.Subscribe(t.Context(), "room", heard, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	says := func(what string, is func(broker.Change) bool, places string) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case ch := <-heard:
				if is(ch) && ch.User == `{"id":"~asha","name":"Asha","guest":true`+places+`}` {
					return
				}
				t.Logf("heard %+v", ch)
			case <-deadline:
				t.Fatalf("nobody hears that she %s: %s", what, places)
			}
		}
	}
	joined := func(ch broker.Change) bool { return ch.Joined }
	moved := func(ch broker.Change) bool { return ch.Renamed }
	left := func(ch broker.Change) bool { return !ch.Joined && !ch.Renamed }

	asha := broker.User{ID: "~asha", Name: "Asha", Guest: true, Place: broker.Place{Region: "of no consequence"}}
	enter := func(b *redis.Broker) {
		t.Helper()
		if n, err := b.Enter(t.Context(), "room", asha); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	one, two := placesText(t, fra), placesText(t, nrt)
	both := placesText(t, fra, nrt)
	enter(first)
	says("came", joined, one)
	awaitPlaces(t, one, first, second, old)
	enter(second)
	says("is at two places", moved, both)
	awaitPlaces(t, both, first, second, old)
	enter(old)
	awaitPlaces(t, both, first, second, old)
	first.Leave("room", "~asha")
	says("is at one place again", moved, two)
	awaitPlaces(t, two, first, second, old)
	second.Leave("room", "~asha")
	says("is on a relay of before", moved, "")
	awaitPlaces(t, "", first, second, old)
	old.Leave("room", "~asha")
	says("left", left, "")
}

func placesText(t *testing.T, places ...broker.Place) string {
	t.Helper()
	where := struct {
		broker.Place
		Places []broker.Place `json:"places,omitempty"`
	}{Place: places[len(places)-1]}
	if len(places) > 1 {
		where.Places = places
	}
	text, err := json.Marshal(where)
	if err != nil {
		t.Fatal(err)
	}
	return "," + string(text[1:len(text)-1])
}

// changesHeard hears changes of presence alone.
type changesHeard chan broker.Change

func (l changesHeard) Load(broker.Snapshot, string) {}
func (l changesHeard) Deliver(broker.Message)       {}
func (l changesHeard) Signal(broker.Signal)         {}
func (l changesHeard) Presence(ch broker.Change)    { l <- ch }

// The relays of a fleet are told with their places, and how far away Redis is.
func TestRedisTellsRelaysPlaces(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	nrt := broker.Place{Region: "nrt", Relay: "two"}
	b := open(t, at(s, broker.Place{Region: "fra", Relay: "one"}))
	open(t, at(s, nrt))
	eventually(t, "with the other relay", func() bool {
		others, err := b.Others(t.Context())
		return err == nil && len(others) == 1 && others[0].Place == nrt
	})
	eventually(t, "with a round trip", func() bool { return b.RoundTrip() > 0 })
}
