package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"setu/e2e/balancer"
	"setu/e2e/client"
	"setu/e2e/cluster"
)

// A deploy replaces three relays, one after the other, under people who talk. Stock clients behind a
// load balancer come back each time, spread out; nobody is seen to leave, and nothing is lost.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	f := startFleet(t, cluster.RedisOptions{AppendOnly: true}, nil)
	lima := f.relay("lima", nil)
	fleet := []*cluster.Relay{f.dublin, f.tokyo, lima}
	asha := f.join("asha", fleet...)
	ben := f.join("ben", f.tokyo, lima, f.dublin)
	b := balancer.StartBlind(t, f.dublin.Address(), f.tokyo.Address(), lima.Address())
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
	talking := f.talk(asha, ben)
	for _, r := range fleet {
		f.do("replace "+r.Name(), func() {
			r.Signal("SIGTERM")
			if code := r.AwaitExit(); code != 0 {
				t.Errorf("%s: exit code %d", r.Name(), code)
			}
			r.Start()
		})
		f.more(10, asha, ben)
	}
	talking.end()
	last := asha.Say(f.room, "the end").Seq
	for _, s := range clients {
		s.awaitAll(last)
	}
	if verdict := f.history.Judge(); len(verdict.Faults) > 0 {
		t.Error(verdict)
	}
	for _, m := range []*client.Client{asha, ben} {
		for _, p := range m.Presence(f.room) {
			if len(p.Left) > 0 {
				t.Errorf("%s saw %v", m.Name(), p)
			}
		}
	}
	away := timesAway(clients)
	slices.Sort(away)
	t.Logf("%d times without a connection: %s", len(away), spread(away))
}

// timesAway is how long each client had no connection, each time.
func timesAway(clients []*stock) (all []time.Duration) {
	for _, s := range clients {
		var gone time.Time
		for _, e := range s.log {
			switch {
			case e.Kind == "gone":
				gone = e.at()
			case e.Kind == "connected" && !gone.IsZero():
				all, gone = append(all, e.at().Sub(gone)), time.Time{}
			}
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
