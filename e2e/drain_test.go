package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"setu/e2e/balancer"
	"setu/e2e/cluster"
)

// Stock clients behind a load balancer that asks no relay whether it is ready, and so brings new
// connections to one that drains until that takes none. None is refused.
func TestDrainBehindBlindBalancer(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	f := startFleet(t, cluster.RedisOptions{}, nil)
	asha := f.join("asha", f.tokyo)
	stubborn := f.connect("stubborn", f.dublin)
	b := balancer.StartBlind(t, f.dublin.Address(), f.tokyo.Address())
	python := startScript(t, "testdata/stock_sessions.py")
	var clients []*stock
	for n := range 16 {
		name, transports := fmt.Sprintf("py %d", n), []string(nil)
		if n%2 == 1 {
			name, transports = name+" websocket", []string{"websocket"}
		}
		s := f.stock(python, n, name, b.URL(), transports...)
		s.join()
		clients = append(clients, s)
	}

	stubborn.StopReading() // which holds the drain up
	began := time.Now()
	f.do("drain dublin", func() {
		f.dublin.Signal("SIGTERM")
		if code := f.dublin.AwaitExit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	took := time.Since(began)
	last := asha.Say(f.room, "the end").Seq
	for _, s := range clients {
		s.awaitAll(last)
	}

	polling, webSocket := 0, 0 // brought to another relay
	for _, r := range b.Requests() {
		switch {
		case r.Session != "" || r.Relay != f.dublin.Address() || r.Began.Before(began) || r.Status == 0: // it has ended
		case r.Failed():
			t.Errorf("refused: %v", r)
		case r.WebSocket:
			webSocket++
		default:
			polling++
		}
	}
	if polling+webSocket == 0 {
		t.Error("none came to the relay that drained")
	}
	t.Logf("drained in %v; passed on %d by polling, %d by WebSocket; away for at most %v", took, polling, webSocket, slices.Max(append(timesAway(clients), 0)))
}
