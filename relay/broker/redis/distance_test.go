package redis_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

// BenchmarkRedisCatchUp takes the time from a relay's first connection after a cut to when it is whole again,
// with 4,000 rooms of which some are busy, at a distance, while others publish 5,000 messages a
// second. trips are round trips in it.
func BenchmarkRedisCatchUp(b *testing.B) {
	for _, trip := range []time.Duration{150 * time.Millisecond, 280 * time.Millisecond} {
		for _, away := range []time.Duration{0, 5 * time.Second} {
			b.Run(fmt.Sprintf("%v/away %v", trip, away), func(b *testing.B) { benchmarkCatchUp(b, trip, away) })
		}
	}
}

func benchmarkCatchUp(b *testing.B, trip, away time.Duration) {
	const rooms, rate = 4000, 5000
	s := ownServer(b)
	cfg := config(s)
	cfg.History = 10000
	near := openRedis(b, cfg, newLog(&wiretest.Log{}))
	waitReady(b, near)
	way := wiretest.NewLink(b, s.addr)
	cfg.URL = "redis://" + way.Address()
	log := &wiretest.Log{}
	far := openRedis(b, cfg, newLog(log))
	waitReady(b, far)
	heard := &wholeness{}
	var all sync.WaitGroup
	for i := range rooms {
		all.Go(func() {
			if _, err := far.Subscribe(b.Context(), fmt.Sprint("room ", i), heard, 0); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	stop := make(chan struct{})
	defer all.Wait()
	defer close(stop)
	all.Go(func() { load(near, rooms, rate, stop) })
	way.Set(wiretest.Quality{Delay: trip / 2})
	way.Drop()
	<-time.After(5 * trip)
	waitReady(b, far)
	for b.Loop() {
		mend := way.Cut()
		<-time.After(away)
		mend()
		awaitWhole(b, far, log)
		took := time.Since(way.FirstConnected())
		b.ReportMetric(float64(took.Milliseconds()), "ms")
		b.ReportMetric(float64(took)/float64(trip), "trips")
	}
	if n := heard.resets.Load(); n > 0 {
		b.Errorf("%d rooms were told of a gap; log:\n%s", n, log)
	}
}

// awaitWhole waits until a relay that was cut off is ready once more.
func awaitWhole(b *testing.B, r *redis.Broker, log *wiretest.Log) {
	b.Helper()
	cut := false
	for end := time.Now().Add(30 * time.Second); !cut || r.Ready() != nil; <-time.After(time.Millisecond) {
		cut = cut || r.Ready() != nil
		if time.Now().After(end) {
			b.Fatalf("not whole (was cut: %v): %v; log:\n%s", cut, r.Ready(), log)
		}
	}
}

// load publishes at a rate, half of it in a hundredth of the rooms.
func load(to *redis.Broker, rooms, rate int, stop chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	body := fmt.Sprintf("%0200d", 0)
	began := time.Now()
	for n := 0; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		var pubs []broker.Publication
		for due := int(time.Since(began).Seconds() * float64(rate)); n < due; n++ {
			room := n % rooms
			if n%2 == 0 {
				room %= rooms / 100
			}
			pubs = append(pubs, broker.Publication{Room: fmt.Sprint("room ", room), User: "ann", ID: fmt.Sprint(n), Body: body})
		}
		if len(pubs) > 0 {
			to.Publish(context.Background(), pubs...)
		}
	}
}

// wholeness counts what a relay's rooms are told.
type wholeness struct {
	counter
	resets atomic.Int64
}

func (w *wholeness) Load(_ broker.Snapshot, reason string) {
	if reason != "" {
		w.resets.Add(1)
	}
}

// BenchmarkRedisSignals sends 2,000 signals a second to one room from a relay that is 280 ms away, and
// tells what share of them arrived.
func BenchmarkRedisSignals(b *testing.B) {
	s := ownServer(b)
	near, _ := linked(b, s, &wiretest.Log{})
	far, way := linked(b, s, &wiretest.Log{})
	var heard counter
	stop, err := near.Subscribe(b.Context(), "a", &heard, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	way.Set(wiretest.Quality{Delay: 140 * time.Millisecond})
	way.Drop()
	<-time.After(4 * time.Second)
	waitReady(b, far)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	sent := 0
	for b.Loop() {
		for range 100 {
			for range 20 {
				far.Signal("a", "x", "typing")
				sent++
			}
			<-tick.C
		}
	}
	<-time.After(time.Second)
	b.ReportMetric(100*float64(heard.signals.Load())/float64(sent), "%arrived")
}
