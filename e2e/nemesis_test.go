package e2e_test

import (
	"context"
	"errors"
	"fmt"
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
	people    []*client.Client // the speakers, then their tabs
	room      string
	habits    []habit                    // of those who come next
	outcomes  map[string][]time.Duration // until all was well again, by kind
	published int
}

// speakers is how many people there are, each with a tab that repeats what they say.
const speakers = 4

// habit is how somebody reaches relays, and whether they go on with their session when they come back.
type habit struct {
	transport client.Transport
	resume    bool
}

// TestNemesis has all of it happen to people who talk, one after the other, and now and then two at once.
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
	names := chosen(t, slices.Sorted(maps.Keys(evils)))
	talking := a.talk()
	began := time.Now()
	for round := 0; time.Since(began) < length; round++ {
		a.cause(a.pick(names, evils)...)
		a.mayHop()
	}
	talking()
	verdict := a.conclude()
	t.Logf("SETU_E2E_SEED=%d, %v: %s", seed, time.Since(began).Round(time.Second), verdict)
	a.tellOutcomes()
}

// chosen are the kinds that SETU_E2E_KINDS names, all if it does not.
func chosen(t *testing.T, all []string) []string {
	t.Helper()
	named := os.Getenv("SETU_E2E_KINDS")
	if named == "" {
		return all
	}
	names := strings.Split(named, ",")
	for _, name := range names {
		if !slices.Contains(all, name) {
			t.Fatalf("SETU_E2E_KINDS: %q is none of %q", name, all)
		}
	}
	return names
}

// pick chooses what happens next: one kind, or two that go together.
func (a *arena) pick(names []string, evils map[string]evil) []evil {
	first := evils[names[a.chance.IntN(len(names))]]
	if a.chance.IntN(3) > 0 {
		return []evil{first}
	}
	var fit []evil
	for _, name := range names {
		if second := evils[name]; first.goesWith(second) {
			fit = append(fit, second)
		}
	}
	if len(fit) == 0 {
		return []evil{first}
	}
	return []evil{first, fit[a.chance.IntN(len(fit))]}
}

func newArena(t *testing.T, seed uint64) *arena {
	a := &arena{t: t, chance: rand.New(rand.NewPCG(seed, 0)), network: cluster.NewNetwork(t), room: "lobby",
		history: judge.Record(t, judge.Rules{Kept: kept}), outcomes: map[string][]time.Duration{}}
	a.history.Note("SETU_E2E_SEED=%d", seed)
	for i, name := range []string{"redis-a", "redis-b"} {
		r := cluster.StartRedis(t, a.network, cluster.RedisOptions{Name: name, AppendOnly: true, Clock: cluster.ClocksCanStep(), ExtraArgs: []string{"--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"}})
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
	a.deal()
	for i, name := range [speakers]string{"asha", "ben", "cleo", "dan"} {
		a.come(name, name, i%2, client.JoinOptions{History: kept, Presence: true})
	}
	return a
}

// deal gives each transport to some, with and without a session that goes on.
func (a *arena) deal() {
	for _, resume := range []bool{false, true} {
		for _, transport := range []client.Transport{client.WebSocket, client.WebSocket, client.Polling, client.Upgrading} {
			a.habits = append(a.habits, habit{transport, resume})
		}
	}
	a.chance.Shuffle(len(a.habits), func(i, j int) { a.habits[i], a.habits[j] = a.habits[j], a.habits[i] })
}

// come has somebody join, over one relay or the other.
func (a *arena) come(name, as string, relay int, o client.JoinOptions) *client.Client {
	a.t.Helper()
	h := a.habits[0]
	a.habits = a.habits[1:]
	m := client.Connect(a.t, client.Options{Name: name, As: as, History: a.history, Transport: h.transport, Resume: h.resume,
		Relays: []string{a.relays[relay].WS(), a.relays[1-relay].WS()}})
	m.Join(a.room, o)
	a.people = append(a.people, m)
	return m
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
		tab := a.come(m.Name(), m.Name()+"'s tab", 1-i%2, client.JoinOptions{History: kept})
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

// cause has something happen, for a while, or two things that overlap, and measures how long the healing
// takes.
func (a *arena) cause(evils ...evil) {
	a.t.Helper()
	kind, lasting := evils[0].kind, false
	for i, e := range evils {
		if i > 0 {
			a.pass(1500 * time.Millisecond)
			kind += " and " + e.kind
		}
		a.history.Note("=== %s", e.kind)
		e.begin()
		lasting = lasting || e.end != nil
	}
	for _, e := range evils {
		if e.end != nil {
			a.pass(3 * time.Second)
			a.history.Note("=== no longer: %s", e.kind)
			e.end()
		}
	}
	over := time.Now()
	a.heal(kind)
	took := time.Since(over)
	a.history.Note("=== healed after %v: %s", took, kind)
	a.remember(took, evils)
	for _, e := range evils {
		if e.after != nil {
			e.after()
		}
	}
	if !lasting {
		a.pass(3 * time.Second)
	}
}

// remember keeps how long a healing took: of two at once under what they touched, of which there are few.
func (a *arena) remember(took time.Duration, evils []evil) {
	kinds := []string{evils[0].kind}
	if len(evils) > 1 {
		classes := []string{evils[0].class(), evils[1].class()}
		slices.Sort(classes)
		kinds = []string{"two at once", "two at once: " + strings.Join(classes, ", ")}
	}
	for _, kind := range kinds {
		a.outcomes[kind] = append(a.outcomes[kind], took)
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
	a.comeBack()
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

// comeBack cuts everybody once more, now that nothing else stands in their way, and those who speak again
// before they are answered: who goes on with a session does, and who upgrades has. A session that was told
// of a gap can't go on until its client has shown, by a pong, that it has heard of it; who comes back too
// early for that has another, which must.
func (a *arena) comeBack() {
	a.t.Helper()
	denied := a.cutAll(a.people)
	if again := a.cutAll(denied); len(again) > 0 {
		a.t.Errorf("%s was not let go on with the session", again[0].Name())
	}
	for range 3 { // who says something after a cut, to see that all is well, loses the ack: that may be one alone
		if lost, stored := a.lostAcks(); lost >= 2 && stored > 0 {
			break
		}
		a.cutAll(a.people)
	}
	for _, m := range a.people {
		if m.Transport() == client.Upgrading {
			cluster.Eventually(a.t, patience, m.Name()+" upgrades", func() error {
				if !m.Upgraded() {
					return errors.New("still polls")
				}
				return nil
			})
		}
		n, _ := m.LostAcks()
		a.t.Logf("%-11s by %-21s went on with a session %3d times, lost %3d acks", m.Name(), m.Transport(), m.Resumed(), n)
	}
	lost, stored := a.lostAcks()
	a.t.Logf("of %d messages the ack was lost, %d of those were stored", lost, stored)
	if lost < 2 || stored == 0 {
		a.t.Error("which is too few")
	}
}

// lostAcks returns of how many messages the ack was lost by a cut, and how many of them were stored.
func (a *arena) lostAcks() (lost, stored int) {
	for _, m := range a.people {
		n, was := m.LostAcks()
		lost, stored = lost+n, stored+was
	}
	return lost, stored
}

// cutAll returns those whose session should go on, and did not.
func (a *arena) cutAll(people []*client.Client) (denied []*client.Client) {
	a.t.Helper()
	a.history.Note("=== %d are cut", len(people))
	resumed := map[*client.Client]int{}
	for _, m := range people {
		resumed[m] = m.Resumed()
		m.LoseAcks(1)
		m.Cut()
	}
	a.heal("they came back")
	for _, m := range people {
		if m.Resumes() && m.Resumed() == resumed[m] {
			denied = append(denied, m)
		}
	}
	return denied
}

func (a *arena) tellOutcomes() {
	for _, kind := range slices.Sorted(maps.Keys(a.outcomes)) {
		all := slices.Sorted(slices.Values(a.outcomes[kind]))
		// The nearest rank: of few, p99 is the slowest.
		at := func(q float64) time.Duration {
			return all[int(math.Ceil(q*float64(len(all))))-1].Round(time.Millisecond)
		}
		a.t.Logf("healed after %-32s %3d times: p50 %v, p99 %v", kind, len(all), at(0.5), at(0.99))
	}
}
