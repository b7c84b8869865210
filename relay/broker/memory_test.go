package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
	"setu/relay/broker/brokertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
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
		if n := b.RoomsKept(); n != 100 {
			t.Fatalf("%d rooms", n)
		}
		time.Sleep(time.Hour + time.Minute) // of the bubble's clock
		synctest.Wait()
		if n := b.RoomsKept(); n != 0 {
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
			k := b.Keep(fmt.Sprint(i), broker.Session{}, func() {})
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

func BenchmarkMemoryPublish(b *testing.B) {
	m := broker.NewMemory(broker.Limits{History: 256, TTL: time.Hour})
	defer m.Close(b.Context())
	brokertest.BenchmarkPublish(b, m)
}
