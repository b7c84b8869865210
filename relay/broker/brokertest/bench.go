package brokertest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"setu/relay/broker"
)

// counter is the cheapest subscriber.
type counter struct{ n atomic.Int64 }

func (*counter) Load(broker.Snapshot, string) {}
func (c *counter) Deliver(broker.Message)     { c.n.Add(1) }
func (*counter) Signal(broker.Signal)         {}
func (*counter) Presence(broker.Change)       {}

// BenchmarkPublish publishes in parallel into one room that is followed.
func BenchmarkPublish(b *testing.B, m broker.Broker) {
	var c counter
	stop, err := m.Subscribe(b.Context(), "a", &c, 0)
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
