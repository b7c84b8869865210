package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/nemesis"
)

// maxRelayMemory bounds what a relay with GOMEMLIMIT=128MiB takes while it is asked for more than it
// or its Redis can do, in bytes of resident memory.
const maxRelayMemory = 256 << 20

// lone is a Redis and relays as processes over links of their own.
func lone(t *testing.T, names []string, env ...string) (redis *cluster.Redis, relays []*nemesis.Relay) {
	t.Helper()
	cluster.Require(t)
	redis = cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{ExtraArgs: []string{"--maxmemory-policy", "noeviction"}})
	for _, name := range names {
		relays = append(relays, nemesis.StartRelay(t, name, nemesis.NewLink(t, redis.Address()), env...))
	}
	return redis, relays
}

// watch returns the most memory that a relay has taken while it was watched.
func watch(t *testing.T, r *nemesis.Relay) (most func() int64) {
	stop, done := make(chan struct{}), make(chan struct{})
	var peak int64
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, r.Memory())
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	once := sync.OnceFunc(func() { close(stop); <-done })
	t.Cleanup(once)
	return func() int64 { once(); return peak }
}

// More is published than Redis takes, over a way that carries little: every publish is answered in a
// bounded time, what was acknowledged is heard, and memory stays within its bound.
func TestMorePublishesThanRedisTakes(t *testing.T) {
	t.Parallel()
	_, relays := lone(t, []string{"dublin"}, "HISTORY_LIMIT=10000")
	relay := relays[0]
	history := judge.Record(t, judge.Rules{Kept: 10000})
	listener := client.Connect(t, client.Options{Name: "listener", History: history, Relays: []string{relay.WS()}})
	listener.Join("lobby", client.JoinOptions{})
	memory := watch(t, relay)
	relay.Link.Set(nemesis.Quality{Pace: 128 << 10})
	var stored, refused atomic.Int64
	var slowest atomic.Int64
	var ids sync.Map
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	data := strings.Repeat("x", 2000)
	for n := range 100 {
		s := client.Open(t, relay.WS(), map[string]string{"name": fmt.Sprint("flood ", n)})
		s.Join("lobby")
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id, began := fmt.Sprintf("%d-%d", n, i), time.Now()
				err := s.Publish("lobby", id, data)
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				var no *client.Refusal
				switch {
				case err == nil:
					stored.Add(1)
					ids.Store(id, true)
				case errors.As(err, &no) && no.Code == "unavailable":
					refused.Add(1)
				default:
					t.Errorf("%s: %v", id, err)
					return
				}
			}
		})
	}
	wg.Wait()
	relay.Link.Set(nemesis.Quality{})
	ids.Range(func(id, _ any) bool {
		listener.AwaitMessage("lobby", id.(string))
		return true
	})
	if d := time.Duration(slowest.Load()); d > 15*time.Second {
		t.Errorf("a publish was answered after %v", d)
	}
	if m := memory(); m > maxRelayMemory {
		t.Errorf("the relay took %d MiB", m>>20)
	}
	t.Logf("%d stored, %d refused, slowest answer %v, at most %d MiB", stored.Load(), refused.Load(), time.Duration(slowest.Load()).Round(time.Millisecond), memory()>>20)
}

// One among many reads nothing. The others don't notice, and it is closed.
func TestSlowReaderAmongMany(t *testing.T) {
	t.Parallel()
	_, relays := lone(t, []string{"dublin"}, "OUTBOX_BYTES=262144")
	relay, many := relays[0], env("SETU_E2E_MANY", 100)
	history := judge.Record(t, judge.Rules{Kept: 256})
	slow := client.Connect(t, client.Options{Name: "slow", History: history, Relays: []string{relay.WS()}})
	slow.Join("lobby", client.JoinOptions{})
	watcher := client.Connect(t, client.Options{Name: "watcher", History: history, Relays: []string{relay.WS()}})
	watcher.Join("lobby", client.JoinOptions{})
	var all []*client.Session
	for n := range many {
		s := client.Open(t, relay.WS(), map[string]string{"name": fmt.Sprint("reader ", n)})
		s.Join("lobby")
		all = append(all, s)
	}
	memory := watch(t, relay)
	slow.StopReading()
	data := strings.Repeat("x", 200_000)
	var took []time.Duration
	closed := func() bool { count, _ := watcher.Members("lobby"); return count == many+1 }
	for n := 0; !closed() && n < 100; n++ {
		id, began := fmt.Sprint("m", n), time.Now()
		if err := all[0].Publish("lobby", id, data); err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			s.AwaitHeard("lobby", id)
		}
		took = append(took, time.Since(began))
	}
	if !closed() {
		t.Error("the slow one was not closed")
	}
	slices.Sort(took)
	t.Logf("%d readers: all had a message of 200 kB after %s; the slow one was closed at the %dth; at most %d MiB", many, spread(took), len(took), memory()>>20)
	if m := memory(); m > maxRelayMemory {
		t.Errorf("the relay took %d MiB", m>>20)
	}
}

// A relay is killed, and all of its clients come to the other at once, as stock clients do: after a
// pause of 0.5 to 1.5 seconds each. All are recovered.
func TestReconnectStorm(t *testing.T) {
	t.Parallel()
	_, relays := lone(t, []string{"dublin", "tokyo"})
	many := env("SETU_E2E_STORM", 400)
	sessions := make([]*client.Session, many)
	for n := range sessions {
		sessions[n] = client.Open(t, relays[0].WS(), map[string]string{"name": fmt.Sprint("client ", n)})
		sessions[n].Join(fmt.Sprint("room ", n%(many/10+1)))
	}
	relays[0].Kill()
	killed := time.Now()
	took := make([]time.Duration, many)
	var lost atomic.Int64
	var wg sync.WaitGroup
	for n, s := range sessions {
		wg.Go(func() {
			s.AwaitEnd()
			<-time.After(500*time.Millisecond + rand.N(time.Second))
			began := time.Now()
			for {
				again, err := client.TryOpen(t, relays[1].WS(), map[string]string{"name": fmt.Sprint("client ", n), "pid": s.PID, "offset": s.Offset()})
				if err != nil {
					<-time.After(500*time.Millisecond + rand.N(time.Second))
					continue
				}
				if took[n] = time.Since(began); again.PID != s.PID {
					lost.Add(1)
				}
				return
			}
		})
	}
	wg.Wait()
	last := time.Since(killed)
	slices.Sort(took)
	t.Logf("%d clients: the last is back %v after the kill; beyond its own pause each took %s", many, last.Round(time.Millisecond), spread(took))
	if n := lost.Load(); n > 0 {
		t.Errorf("%d were not recovered", n)
	}
}

// A relay that is full refuses the next, and those inside don't notice.
func TestRelayIsFull(t *testing.T) {
	t.Parallel()
	const most = 20
	_, relays := lone(t, []string{"dublin"}, "MAX_CONNECTIONS="+strconv.Itoa(most))
	relay := relays[0]
	var inside []*client.Session
	for n := range most {
		s := client.Open(t, relay.WS(), map[string]string{"name": fmt.Sprint("inside ", n)})
		s.Join("lobby")
		inside = append(inside, s)
	}
	for range 3 * most {
		response, err := http.Get(strings.Replace(strings.Replace(relay.WS(), "ws://", "http://", 1), "websocket", "polling", 1))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("another client is answered %d", response.StatusCode)
		}
		if _, err := client.TryOpen(t, relay.WS(), map[string]string{"name": "outside"}); err == nil {
			t.Error("another client came in")
		}
	}
	if err := inside[0].Publish("lobby", "1", "hello"); err != nil {
		t.Error(err)
	}
	for _, s := range inside {
		s.AwaitHeard("lobby", "1")
	}
	inside[1].Cut()
	cluster.Eventually(t, patience, "there is room again", func() error {
		_, err := client.TryOpen(t, relay.WS(), map[string]string{"name": "next"})
		return err
	})
}

// env is a number from the environment, or a smaller one.
func env(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}
