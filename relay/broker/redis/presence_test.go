package redis_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
)

func withLease(s *server, lease time.Duration) redis.Config {
	cfg := config(s)
	cfg.Lease = lease
	return cfg
}

func enterIn(t testing.TB, b broker.Broker, room, id string) {
	t.Helper()
	if _, err := b.Enter(t.Context(), room, broker.User{ID: id}); err != nil {
		t.Fatalf("%s enters %s: %v", id, room, err)
	}
}

func idOf(text string) string {
	var u broker.User
	_ = json.Unmarshal([]byte(text), &u)
	return u.ID
}

// membersEventually waits until a room's members are ids, in alphabetical order.
func membersEventually(t testing.TB, b broker.Broker, room string, ids ...string) {
	t.Helper()
	var got []string
	eventually(t, "with these members", func() bool {
		got = membersOf(t, b, room)
		return slices.Equal(got, ids)
	})
}

func membersOf(t testing.TB, b broker.Broker, room string) (ids []string) {
	users, _, err := b.Members(t.Context(), room, 100)
	if err != nil {
		return nil
	}
	for _, u := range users {
		ids = append(ids, idOf(u))
	}
	slices.Sort(ids)
	return ids
}

// presenceHeard is a subscriber that keeps changes of presence, as "+ann", and when they came.
type presenceHeard struct {
	counter
	mu    sync.Mutex
	heard []string
	at    []time.Time
}

func (p *presenceHeard) Presence(ch broker.Change) {
	if ch.Missed {
		return
	}
	sign := map[bool]string{true: "+", false: "-"}[ch.Joined]
	if ch.Renamed {
		sign = "="
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard, p.at = append(p.heard, sign+idOf(ch.User)), append(p.at, time.Now())
}

func (p *presenceHeard) changes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard)
}

func changesOf(t testing.TB, b broker.Broker, room string) *presenceHeard {
	t.Helper()
	p := &presenceHeard{}
	stop, err := b.Subscribe(t.Context(), room, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return p
}
