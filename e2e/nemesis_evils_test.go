package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/nemesis"
	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/room"
	"setu/relay/wiretest"
)

// evil is one thing that can happen.
type evil struct {
	kind    string
	touches []string // whose evil it is: a relay by its name, ofRedis, ofClients

	begin func()
	end   func() // nil if it is over at once
	after func() // puts in order, when all is well again, what nobody has to wait for; nil for nothing
}

const (
	ofRedis   = "redis"
	ofClients = "clients"
)

// goesWith reports whether both may be at once: nothing has them both.
func (e evil) goesWith(other evil) bool {
	return !slices.ContainsFunc(e.touches, func(what string) bool { return slices.Contains(other.touches, what) })
}

// class says what is touched, of which there are several.
func (e evil) class() string {
	switch {
	case len(e.touches) > 1:
		return "all"
	case e.touches[0] == ofRedis, e.touches[0] == ofClients:
		return e.touches[0]
	}
	return "a relay"
}

// evils is all that can happen, by kind.
func (a *arena) evils() map[string]evil {
	out := map[string]evil{}
	for _, all := range [][]evil{a.ofRelay(a.relays[0]), a.ofRelay(a.relays[1]), a.ofRedis(), a.ofClocks(), a.ofPrimaries(), a.ofClients()} {
		for _, e := range all {
			out[e.kind] = e
		}
	}
	return out
}

// ofRelay is what happens to one relay, or to its way to Redis.
func (a *arena) ofRelay(r *nemesis.Relay) (evils []evil) {
	add := func(what string, begin, end func()) {
		evils = append(evils, evil{kind: r.Name() + " " + what, touches: []string{r.Name()}, begin: begin, end: end})
	}
	add("killed", r.Kill, r.Start)
	add("drained", func() { r.Term() }, r.Start)
	add("frozen", r.Freeze, r.Thaw)
	for what, is := range map[string]wiretest.Quality{
		"cut off": {Down: true}, "half-open": {LostUp: true, LostDown: true}, "unheard": {LostUp: true}, "deaf": {LostDown: true},
		"far away": {Delay: 140 * time.Millisecond, Pace: 4 << 20}, "slow": {Delay: 20 * time.Millisecond, Pace: 256 << 10}, "lagging": {Lag: 150 * time.Millisecond},
	} {
		add(what, func() { r.Link.Set(is) }, func() { r.Link.Set(wiretest.Quality{}) })
	}
	add("dropped", r.Link.Drop, nil)
	return evils
}

// ofRedis is what happens to the primary.
func (a *arena) ofRedis() (evils []evil) {
	add := func(what string, begin, end func()) {
		evils = append(evils, evil{kind: "redis " + what, touches: []string{ofRedis}, begin: begin, end: end})
	}
	add("frozen", func() { a.primary.Pause() }, func() { a.primary.Unpause() })
	add("full", func() { a.primary.CLI("CONFIG", "SET", "maxmemory", "1mb") }, func() { a.primary.CLI("CONFIG", "SET", "maxmemory", "0") })
	add("has too few replicas", func() { a.primary.CLI("CONFIG", "SET", "min-replicas-to-write", "5") }, func() { a.primary.CLI("CONFIG", "SET", "min-replicas-to-write", "0") })
	add("can't persist", a.failToSave, a.save)
	add("forgets scripts", func() { a.primary.CLI("SCRIPT", "FLUSH") }, nil)
	add("emptied", func() { a.primary.CLI("FLUSHALL") }, nil)
	add("evicts presence", func() { a.evict("members") }, nil)
	add("evicts a lease", func() { a.evict("life:", "lives", "write:") }, nil)
	add("evicts an index", func() { a.evict("index", "older") }, nil)
	return evils
}

// ofPrimaries is what takes the replica, too.
func (a *arena) ofPrimaries() []evil {
	restart := func() { a.replica.Start(); a.replicate() }
	of := []string{ofRedis}
	return []evil{
		{"redis killed", of, func() { a.primary.Kill() }, func() { a.primary.Start() }, a.replicate},
		{"redis fails over", of, a.failOver, nil, restart},
		{"redis demoted in place", of, a.demote, nil, a.replicate},
		{"redis rolled back and grown", []string{ofRedis, ofClients, a.relays[0].Name(), a.relays[1].Name()}, a.rollBack, nil, restart},
	}
}

// ofClocks is what happens to the primary's clock.
func (a *arena) ofClocks() []evil {
	if !cluster.ClocksCanStep() {
		if os.Getenv("CI") == "true" {
			a.t.Error("no libfaketime on this machine, without which Redis' clock can't be stepped")
		}
		a.t.Log("Redis' clock is left alone: there is no libfaketime on this machine")
		return nil
	}
	back := func() { a.primary.StepClock(0) }
	seconds := func() time.Duration { return time.Duration(2+a.chance.IntN(9)) * time.Second }
	return []evil{
		{kind: "redis' clock put forward", touches: []string{ofRedis}, begin: func() { a.primary.StepClock(seconds()) }, end: back},
		{kind: "redis' clock put back", touches: []string{ofRedis}, begin: func() { a.primary.StepClock(-seconds()) }, end: back},
	}
}

// ofClients is what happens to people alone.
func (a *arena) ofClients() []evil {
	of := []string{ofClients}
	cut := func() {
		for _, m := range a.people {
			m.Cut()
		}
	}
	lose := func(acks int) func() {
		return func() {
			for _, m := range a.people[:speakers] {
				m.LoseAcks(acks)
			}
		}
	}
	return []evil{
		{kind: "everybody cut", touches: of, begin: cut},
		{kind: "somebody stops reading", touches: of, begin: func() { a.people[0].TryStopReading() }, end: func() { a.people[0].Cut() }},
		{kind: "acks lost", touches: of, begin: lose(5), end: lose(0)},
	}
}

// failToSave has the primary fail to write its dump, after which it takes no writes: MISCONF.
func (a *arena) failToSave() {
	a.t.Helper()
	a.primary.BlockDump()
	a.primary.CLI("CONFIG", "SET", "save", "3600 1")
	cluster.Eventually(a.t, patience, "Redis refuses writes, since it can't save", func() error {
		a.primary.CLI("BGSAVE")
		if answer := a.primary.CLI("SET", "never", "taken"); !strings.HasPrefix(answer, "MISCONF") {
			return fmt.Errorf("a write is answered with %q", answer)
		}
		return nil
	})
}

// save undoes it. Without times at which it saves, Redis does not mind that it could not.
func (a *arena) save() {
	a.primary.CLI("CONFIG", "SET", "save", "")
	a.primary.UnblockDump()
	if answer := a.primary.CLI("DEL", "never"); strings.HasPrefix(answer, "MISCONF") {
		a.t.Errorf("Redis can save, and answers a write with %q", answer)
	}
}

// evict deletes the keys whose names contain one of some words, as a server does that needs room.
func (a *arena) evict(words ...string) {
	for key := range strings.FieldsSeq(a.primary.CLI("KEYS", "*")) {
		for _, w := range words {
			if strings.Contains(key, w) {
				a.primary.CLI("DEL", key)
			}
		}
	}
}

// failOver promotes the replica, which is in step but for what is on its way.
func (a *arena) failOver() {
	a.primary.Kill()
	a.replica.CLI("REPLICAOF", "NO", "ONE")
	a.swap()
}

// demote makes the primary a replica, and the replica the primary; connections stay.
func (a *arena) demote() {
	a.replica.CLI("REPLICAOF", "NO", "ONE")
	a.primary.CLI("REPLICAOF", a.replica.Name(), "6379")
	a.swap()
}

// rollBack promotes a replica that has stood still for a while. What came since is gone, and while the
// relays are frozen and can't know, somebody else has the room grow to the same numbers.
func (a *arena) rollBack() {
	// Freezing the replica would not do: what it was sent meanwhile waits in its socket, and it takes that
	// in before it is told that it is the primary.
	a.replica.CLI("REPLICAOF", "NO", "ONE")
	a.pass(2 * time.Second)
	a.published++
	lost, err := a.people[0].Publish(a.t.Context(), a.room, fmt.Sprint("lost-", a.published), "lost")
	if err != nil {
		a.t.Fatalf("before the rollback: %v", err)
	}
	for _, r := range a.relays {
		r.Freeze()
	}
	a.primary.Kill()
	a.swap()
	first := a.regrow(1 + a.chance.IntN(200))
	if last, err := broker.ParseOffset(lost.Offset); err != nil || first.Epoch != last.Epoch || first.Seq > last.Seq {
		a.t.Errorf("nothing was rolled back: %v was acknowledged, and the room went on with %v (%v)", last, first, err)
	}
	for _, r := range a.relays {
		r.Thaw()
	}
}

// regrow publishes past the relays. It returns where the first message stands.
func (a *arena) regrow(n int) (first broker.Offset) {
	a.t.Helper()
	b, err := redis.Open(redis.Config{URL: a.primary.URL(), Lease: 3 * time.Second, Limits: broker.Limits{History: kept, TTL: 24 * time.Hour}},
		slog.New(slog.DiscardHandler))
	if err != nil {
		a.t.Fatal(err)
	}
	defer b.Close(context.Background())
	cluster.Eventually(a.t, patience, "the other relay is ready", b.Ready)
	for i := range n {
		a.published++
		id := fmt.Sprint("regrown-", a.published)
		body := room.Body(id, broker.User{ID: "stranger", Name: "Stranger", Guest: true}, []byte(`"grown"`))
		a.history.Add(judge.Event{Client: "stranger", Kind: judge.Publishing, Room: a.room, Message: judge.Message{User: "stranger", ID: id, Data: `"grown"`}})
		r := b.Publish(a.t.Context(), broker.Publication{Room: a.room, User: "stranger", ID: id, Body: body})[0]
		if r.Err != nil {
			a.t.Fatalf("regrow %d: %v", i, r.Err)
		}
		if i == 0 {
			first = r.Offset
		}
	}
	return first
}
