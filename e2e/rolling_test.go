package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/e2e/balancer"
	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/nemesis"
	"setu/relay/wiretest"
)

// A deploy replaces three relays, one after the other, under people who talk. Clients behind a load
// balancer, stock ones and our own, come back each time, spread out. Nobody is seen to leave who comes
// back within the grace, and nothing is lost.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	f, fleet := startProcesses(t, "dublin", "tokyo", "lima")
	asha, ben := f.watcher("asha", fleet), f.watcher("ben", slices.Concat(fleet[1:], fleet[:1]))
	b := balancer.StartBlind(t, fleet[0].Address(), fleet[1].Address(), fleet[2].Address())
	python := startScript(t, "testdata/stock_sessions.py")
	var clients []*stock
	for n := range 24 {
		transports := []string(nil)
		if n%2 == 1 {
			transports = []string{"websocket"}
		}
		s := f.stock(python, n, fmt.Sprintf("py %d", n), b.URL(), transports...)
		s.join()
		clients = append(clients, s)
	}
	var gophers []*gopher
	var saying sync.WaitGroup
	ctx, hush := context.WithCancel(t.Context())
	defer hush()
	for n := range 12 {
		g := f.gopher(fmt.Sprint("go ", n), b.URL())
		gophers = append(gophers, g)
	}
	for _, g := range gophers[:3] {
		saying.Go(func() { g.talk(ctx) })
	}
	began := time.Now()
	t.Cleanup(func() {
		for _, r := range b.Requests() {
			if t.Failed() && r.Failed() {
				t.Logf("failed: %v", r)
			}
		}
	})
	talking := f.talk(asha, ben)
	for _, r := range fleet {
		f.replace(r)
		f.more(10, asha, ben)
	}
	talking.end()
	hush()
	saying.Wait()
	last := asha.Say(f.room, "the end").Seq
	for _, s := range clients {
		s.awaitAll(last)
	}
	for _, g := range gophers {
		g.awaitAll(last)
	}
	if verdict := f.history.Judge(); len(verdict.Faults) > 0 {
		t.Error(verdict)
	}
	judgeFlicker(t, f.room, []*client.Client{asha, ben}, clients, gophers)
	t.Logf("let in by the relays: %v", letIn(b, began))
	var off []time.Duration
	for _, g := range gophers {
		off = append(off, g.timesOff()...)
	}
	judgeAway(t, "python", timesAway(clients))
	judgeAway(t, "go", off)
}

// startProcesses starts a fleet whose relays are processes: what publishes a container's port takes
// connections when nobody is there to serve them.
func startProcesses(t *testing.T, names ...string) (f *fleet, relays []*nemesis.Relay) {
	t.Helper()
	f = &fleet{t: t, network: cluster.NewNetwork(t), room: "lobby", history: judge.Record(t, judge.Rules{Kept: kept})}
	f.redis = cluster.StartRedis(t, f.network, cluster.RedisOptions{AppendOnly: true})
	for _, name := range names {
		link := wiretest.NewLink(t, f.redis.Address())
		relays = append(relays, nemesis.StartRelay(t, name, link, "HISTORY_LIMIT="+strconv.Itoa(kept)))
	}
	return f, relays
}

// watcher joins over the first relay, or another while that is gone, and is told who comes and goes.
func (f *fleet) watcher(name string, relays []*nemesis.Relay) *client.Client {
	f.t.Helper()
	var urls []string
	for _, r := range relays {
		urls = append(urls, r.WS())
	}
	m := client.Connect(f.t, client.Options{Name: name, History: f.history, Relays: urls})
	m.Join(f.room, client.JoinOptions{History: kept, Presence: true})
	return m
}

// replace restarts a relay as a deploy does.
func (f *fleet) replace(r *nemesis.Relay) {
	f.t.Helper()
	f.do("replace "+r.Name(), func() {
		if code := r.Term(); code != 0 {
			f.t.Errorf("%s: exit code %d", r.Name(), code)
		}
		r.Start()
		cluster.Eventually(f.t, patience, r.Name()+" is ready", func() error {
			if status := r.Status(); status != 200 {
				return fmt.Errorf("/readyz answers %d", status)
			}
			return nil
		})
	})
}

// judgeFlicker checks that nobody was seen to leave but those who came back late.
func judgeFlicker(t *testing.T, room string, watchers []*client.Client, clients []*stock, gophers []*gopher) {
	t.Helper()
	late := map[string]bool{}
	for _, s := range clients {
		late[s.name] = slices.ContainsFunc(s.timesOut(), isLate)
	}
	for _, g := range gophers {
		late[g.name] = slices.ContainsFunc(g.timesOff(), isLate)
	}
	for _, m := range watchers {
		for _, p := range m.Presence(room) {
			for _, u := range p.Left {
				if !late[u.Name] {
					t.Errorf("%s saw %v, who was back in time", m.Name(), p)
				}
			}
		}
	}
}

// graceful is how long nobody is seen to leave whose relay drained: less than the relay's grace of 3 s by what a
// client of a busy machine takes to see that it was cut off, and Redis to say that it is back.
const graceful = 2500 * time.Millisecond

func isLate(away time.Duration) bool { return away > graceful }

// awayMost is the p95 of the time that a client has no connection when its relay is replaced. The goal is
// 2 s, and told; a machine that does other things, too, gets more before that is a failure.
const awayMost = 8 * time.Second

func judgeAway(t *testing.T, whose string, away []time.Duration) {
	t.Helper()
	slices.Sort(away)
	t.Logf("%s: %d times without a connection: %s", whose, len(away), spread(away))
	if len(away) == 0 {
		t.Errorf("%s: nobody has lost a connection", whose)
	} else if p95 := away[int(0.95*float64(len(away)-1))]; p95 > awayMost {
		t.Errorf("%s: p95 is %v", whose, p95)
	}
}

// timesAway is how long each client had no connection, each time.
func timesAway(clients []*stock) (all []time.Duration) {
	for _, s := range clients {
		all = append(all, s.timesUntil("connected")...)
	}
	return all
}

// timesOut is how long it was not in its room, each time.
func (s *stock) timesOut() []time.Duration { return s.timesUntil("joined") }

// timesUntil is how long it took each time from the loss of its connection until the next entry of a kind.
func (s *stock) timesUntil(kind string) (all []time.Duration) {
	var gone time.Time
	for _, e := range s.log {
		switch {
		case e.Kind == "gone" && gone.IsZero():
			gone = e.at()
		case e.Kind == kind && !gone.IsZero():
			all, gone = append(all, e.at().Sub(gone)), time.Time{}
		}
	}
	return all
}

// spread is a distribution: its quantiles, and how many lie in each quarter of a second.
func spread(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return "none"
	}
	at := func(q float64) time.Duration { return sorted[int(q*float64(len(sorted)-1))].Round(time.Millisecond) }
	const step = 250 * time.Millisecond
	bars := make([]int, sorted[len(sorted)-1]/step+1)
	for _, d := range sorted {
		bars[d/step]++
	}
	return fmt.Sprintf("p50 %v, p95 %v, max %v; by quarter seconds %s", at(0.5), at(0.95), at(1), strings.Trim(fmt.Sprint(bars), "[]"))
}
