package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/nemesis"
	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/room"
	"setu/relay/wiretest"
)

// arena is two relays as processes, and two servers of Redis, of which one is the primary.
type arena struct {
	t         testing.TB
	chance    *rand.Rand
	network   *cluster.Network
	primary   *cluster.Redis
	replica   *cluster.Redis
	relays    []*nemesis.Relay
	history   *judge.History
	people    []*client.Client
	room      string
	outcomes  map[string][]time.Duration // until all was well again, by kind
	published int
}

// evil is one thing that can happen, its end, nil where it is over at once, and what is put in order
// when all is well again, which nobody has to wait for.
type evil struct {
	kind              string
	begin, end, after func()
}

// TestNemesis has all of it happen to people who talk, one after the other.
// SETU_E2E_SEED repeats a run, as far as its plan goes, SETU_E2E_NEMESIS makes it longer ("10m"), and
// SETU_E2E_KINDS, kinds separated by commas, narrows it down.
func TestNemesis(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	seed, err := strconv.ParseUint(os.Getenv("SETU_E2E_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	length, err := time.ParseDuration(os.Getenv("SETU_E2E_NEMESIS"))
	if err != nil {
		length = 30 * time.Second
	}
	t.Logf("SETU_E2E_SEED=%d", seed)
	a := newArena(t, seed)
	evils := a.evils()
	names := slices.Sorted(maps.Keys(evils))
	if chosen := os.Getenv("SETU_E2E_KINDS"); chosen != "" {
		names = strings.Split(chosen, ",")
	}
	for _, name := range names {
		if _, known := evils[name]; !known {
			t.Fatalf("SETU_E2E_KINDS: %q is none of %q", name, slices.Sorted(maps.Keys(evils)))
		}
	}
	talking := a.talk()
	began := time.Now()
	for round := 0; time.Since(began) < length; round++ {
		a.cause(evils[names[a.chance.IntN(len(names))]])
		a.mayHop()
	}
	talking()
	verdict := a.conclude()
	t.Logf("SETU_E2E_SEED=%d, %v: %s", seed, time.Since(began).Round(time.Second), verdict)
	a.tellOutcomes()
}

func newArena(t *testing.T, seed uint64) *arena {
	a := &arena{t: t, chance: rand.New(rand.NewPCG(seed, 0)), network: cluster.NewNetwork(t), room: "lobby",
		history: judge.Record(t, judge.Rules{Kept: kept}), outcomes: map[string][]time.Duration{}}
	a.history.Note("SETU_E2E_SEED=%d", seed)
	for i, name := range []string{"redis-a", "redis-b"} {
		r := cluster.StartRedis(t, a.network, cluster.RedisOptions{Name: name, AppendOnly: true, ExtraArgs: []string{"--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"}})
		if i == 0 {
			a.primary = r
		} else {
			a.replica = r
		}
	}
	a.replicate()
	for _, name := range []string{"dublin", "tokyo"} {
		link := wiretest.NewLink(t, a.primary.Address())
		a.relays = append(a.relays, nemesis.StartRelay(t, name, link, "PRESENCE_LEASE=3s", "PING_INTERVAL=2s", "PING_TIMEOUT=2s",
			"HISTORY_LIMIT="+strconv.Itoa(kept), "DRAIN_TIMEOUT=3s"))
	}
	for i, name := range []string{"asha", "ben", "cleo", "dan"} {
		first, other := a.relays[i%2], a.relays[1-i%2]
		m := client.Connect(t, client.Options{Name: name, History: a.history, Relays: []string{first.WS(), other.WS()}})
		m.Join(a.room, client.JoinOptions{History: kept, Presence: true})
		a.people = append(a.people, m)
	}
	return a
}

// replicate makes the replica one, and waits until it is in step.
func (a *arena) replicate() {
	a.t.Helper()
	a.replica.CLI("REPLICAOF", a.primary.Name(), "6379")
	cluster.Eventually(a.t, patience, "the replica is in step", func() error {
		if info := a.replica.CLI("INFO", "replication"); !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("%.200s", info)
		}
		return nil
	})
}

// swap has the links lead to the replica, which is the primary from now on.
func (a *arena) swap() {
	a.primary, a.replica = a.replica, a.primary
	for _, r := range a.relays {
		r.Link.Lead(a.primary.Address())
	}
}

// talk has everybody publish, and some of it twice, over both relays. It returns what ends that.
func (a *arena) talk() (end func()) {
	ctx, stop := context.WithCancel(a.t.Context())
	var wg sync.WaitGroup
	for i, m := range a.people {
		// The same user at another relay, which says again what was said.
		tab := client.Connect(a.t, client.Options{Name: m.Name(), As: m.Name() + "'s tab", History: a.history, Relays: []string{a.relays[1-i%2].WS(), a.relays[i%2].WS()}})
		tab.Join(a.room, client.JoinOptions{History: kept})
		a.people = append(a.people, tab)
		wg.Go(func() {
			pace := time.NewTicker(40 * time.Millisecond)
			defer pace.Stop()
			for n := 1; ctx.Err() == nil; n++ {
				id := m.NewID()
				data := map[string]any{"n": n}
				if _, err := m.Publish(a.t.Context(), a.room, id, data); err != nil {
					a.t.Errorf("%s publishes: %v", m.Name(), err)
					return
				}
				if n%10 == 0 {
					if _, err := tab.Publish(a.t.Context(), a.room, id, data); err != nil {
						a.t.Errorf("%s publishes again: %v", m.Name(), err)
						return
					}
				}
				select {
				case <-ctx.Done():
				case <-pace.C:
				}
			}
		})
	}
	return func() {
		stop()
		wg.Wait()
	}
}

// cause has something happen, for a while, and measures how long its healing takes.
func (a *arena) cause(e evil) {
	a.t.Helper()
	a.history.Note("=== %s", e.kind)
	e.begin()
	if e.end != nil {
		a.pass(3 * time.Second)
		a.history.Note("=== no longer: %s", e.kind)
		e.end()
	}
	over := time.Now()
	a.heal(e.kind)
	took := time.Since(over)
	a.history.Note("=== healed after %v: %s", took, e.kind)
	a.outcomes[e.kind] = append(a.outcomes[e.kind], took)
	if e.after != nil {
		e.after()
	}
	if e.end == nil {
		a.pass(3 * time.Second)
	}
}

func (a *arena) pass(most time.Duration) {
	select {
	case <-a.t.Context().Done():
	case <-time.After(time.Duration(a.chance.Int64N(int64(most)))):
	}
}

// heal waits until both relays are ready, everybody is there, and what one says everybody hears.
func (a *arena) heal(kind string) {
	a.t.Helper()
	cluster.Eventually(a.t, patience, "both relays are ready after "+kind, func() error {
		for _, r := range a.relays {
			if status := r.Status(); status != 200 {
				return fmt.Errorf("%s answers %d", r.Name(), status)
			}
		}
		return nil
	})
	for _, speaker := range a.people[:2] {
		a.published++
		id := fmt.Sprint("healed-", a.published)
		if _, err := speaker.Publish(a.t.Context(), a.room, id, "healed"); err != nil {
			a.t.Fatalf("after %s: %v", kind, err)
		}
		for _, m := range a.people {
			m.AwaitMessage(a.room, id)
		}
	}
}

// mayHop has somebody go to the other relay, with what they have.
func (a *arena) mayHop() {
	m, to := a.people[a.chance.IntN(len(a.people))], a.chance.IntN(2)
	m.Prefer(a.relays[to].WS(), a.relays[1-to].WS())
	if a.chance.IntN(3) == 0 {
		m.Cut()
	}
}

func (a *arena) conclude() judge.Verdict {
	a.t.Helper()
	a.heal("all")
	verdict := a.history.Judge()
	if len(verdict.Faults) > 0 {
		a.t.Error(verdict)
	}
	for _, r := range a.relays {
		if strings.Contains(r.Log(), "panic") {
			a.t.Errorf("%s panicked", r.Name())
		}
	}
	return verdict
}

func (a *arena) tellOutcomes() {
	for _, kind := range slices.Sorted(maps.Keys(a.outcomes)) {
		all := slices.Sorted(slices.Values(a.outcomes[kind]))
		// The nearest rank: of few, p99 is the slowest.
		at := func(q float64) time.Duration {
			return all[int(math.Ceil(q*float64(len(all))))-1].Round(time.Millisecond)
		}
		a.t.Logf("healed after %-28s %3d times: p50 %v, p99 %v", kind, len(all), at(0.5), at(0.99))
	}
}

// evils is all that can happen.
func (a *arena) evils() map[string]evil {
	out := map[string]evil{}
	add := func(kind string, begin, end func()) { out[kind] = evil{kind: kind, begin: begin, end: end} }
	restored := func(kind string, begin, end, after func()) { out[kind] = evil{kind, begin, end, after} }
	for _, r := range a.relays {
		add(r.Name()+" killed", r.Kill, r.Start)
		add(r.Name()+" drained", func() { r.Term() }, r.Start)
		add(r.Name()+" frozen", r.Freeze, r.Thaw)
		for what, is := range map[string]wiretest.Quality{
			"cut off": {Down: true}, "half-open": {LostUp: true, LostDown: true}, "unheard": {LostUp: true}, "deaf": {LostDown: true},
			"far away": {Delay: 140 * time.Millisecond, Pace: 4 << 20}, "slow": {Delay: 20 * time.Millisecond, Pace: 256 << 10}, "lagging": {Lag: 150 * time.Millisecond},
		} {
			add(r.Name()+" "+what, func() { r.Link.Set(is) }, func() { r.Link.Set(wiretest.Quality{}) })
		}
		add(r.Name()+" dropped", r.Link.Drop, nil)
	}
	restart := func() { a.replica.Start(); a.replicate() }
	restored("redis killed", func() { a.primary.Kill() }, func() { a.primary.Start() }, a.replicate)
	add("redis frozen", func() { a.primary.Pause() }, func() { a.primary.Unpause() })
	add("redis full", func() { a.primary.CLI("CONFIG", "SET", "maxmemory", "1mb") }, func() { a.primary.CLI("CONFIG", "SET", "maxmemory", "0") })
	add("redis can't persist", func() { a.primary.CLI("CONFIG", "SET", "min-replicas-to-write", "5") }, func() { a.primary.CLI("CONFIG", "SET", "min-replicas-to-write", "0") })
	add("redis forgets scripts", func() { a.primary.CLI("SCRIPT", "FLUSH") }, nil)
	add("redis emptied", func() { a.primary.CLI("FLUSHALL") }, nil)
	add("redis evicts presence", func() { a.evict("members") }, nil)
	add("redis evicts a lease", func() { a.evict("life:", "lives", "write:") }, nil)
	add("redis evicts an index", func() { a.evict("index", "older") }, nil)
	restored("redis fails over", a.failOver, nil, restart)
	restored("redis demoted in place", a.demote, nil, a.replicate)
	restored("redis rolled back and grown", a.rollBack, nil, restart)
	add("everybody cut", func() {
		for _, m := range a.people {
			m.Cut()
		}
	}, nil)
	add("somebody stops reading", func() { a.people[0].TryStopReading() }, func() { a.people[0].Cut() })
	return out
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
		body, err := room.Body(id, broker.User{ID: "stranger", Name: "Stranger", Guest: true}, []byte(`"grown"`))
		if err != nil {
			a.t.Fatal(err)
		}
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
