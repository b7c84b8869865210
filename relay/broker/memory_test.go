package broker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
	"setu/relay/broker/brokertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { shared.stop(); exit(code) }))
}

func TestMemory(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, brokertest.Harness{New: func(t *testing.T, o brokertest.Options) *brokertest.Store {
		return &brokertest.Store{Open: func(t *testing.T) *brokertest.Relay {
			b := broker.NewMemory(o.Limits)
			t.Cleanup(func() { b.Close(t.Context()) })
			return &brokertest.Relay{Broker: b}
		}}
	}})
}

// A history that has expired is let go of, also when nobody asks for it any more.
func TestMemorySweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.NewMemory(broker.Limits{History: 10, TTL: time.Hour})
		defer b.Close(t.Context())
		for i := range 100 {
			b.Publish(t.Context(), broker.Publication{Room: fmt.Sprint(i), User: "ann", ID: "1"})
		}
		if n := b.Rooms(); n != 100 {
			t.Fatalf("%d rooms", n)
		}
		time.Sleep(time.Hour + time.Minute) // of the bubble's clock
		synctest.Wait()
		if n := b.Rooms(); n != 0 {
			t.Errorf("%d rooms after they have expired", n)
		}
	})
}

// So is a session that was released.
func TestMemorySweepSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.NewMemory(broker.Limits{History: 10, TTL: time.Hour})
		defer b.Close(t.Context())
		for i := range 100 {
			k := b.Keep(fmt.Sprint(i), broker.Session{}, nothing)
			if i > 0 {
				k.Release()
			}
		}
		time.Sleep(time.Hour - time.Second) // of the bubble's clock
		if n := b.Sessions(); n != 100 {
			t.Errorf("%d sessions within an hour", n)
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if n := b.Sessions(); n != 1 {
			t.Errorf("%d sessions after they have expired", n)
		}
	})
}

// counter is the cheapest subscriber.
type counter struct{ n atomic.Int64 }

func (*counter) Load(broker.Snapshot, string) {}
func (c *counter) Deliver(broker.Message)     { c.n.Add(1) }
func (*counter) Signal(broker.Signal)         {}
func (*counter) Presence(broker.Change)       {}

func BenchmarkMemoryPublish(b *testing.B) {
	m := broker.NewMemory(broker.Limits{History: 256, TTL: time.Hour})
	defer m.Close(b.Context())
	benchmarkPublish(b, m)
}

// benchmarkPublish publishes in parallel into one room that is followed.
func benchmarkPublish(b *testing.B, m broker.Broker) {
	var c counter
	stop, err := m.Subscribe(b.Context(), "a", &c)
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	body := fmt.Sprintf("%100s", "")
	var id atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p := broker.Publication{Room: "a", User: "ann", ID: fmt.Sprint(id.Add(1)), Body: body}
			if r := m.Publish(b.Context(), p); r[0].Err != nil {
				b.Error(r[0].Err)
			}
		}
	})
	for c.n.Load() < int64(b.N) && b.Context().Err() == nil {
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
