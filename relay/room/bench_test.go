package room

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// sink is a member that drops what it is sent, so that a benchmark measures the room alone.
type sink struct{ *member }

func (sink) Send(*engineio.Frame) bool { return true }

// crowd makes a hub with n members in a room.
func crowd(b *testing.B, n int, o JoinOptions) *Hub {
	h, _ := newTestHub(b)
	for i := range n {
		m := sink{guest(fmt.Sprint(i))}
		join(b, h, "room", m, o)
		b.Cleanup(func() { h.Leave("room", m) })
	}
	b.ReportAllocs()
	return h
}

// BenchmarkDeliver is one message to 1,000 members.
func BenchmarkDeliver(b *testing.B) {
	r := crowd(b, 1000, JoinOptions{}).room("room")
	m := story("e", 1, 1)[0]
	for b.Loop() {
		m.Pos, m.Seq = m.Pos+1, m.Seq+1
		r.Deliver(m)
	}
}

// BenchmarkJoin is a user who comes to 100 others, is told who they are, and leaves.
func BenchmarkJoin(b *testing.B) {
	h := crowd(b, 100, JoinOptions{})
	m := sink{guest("m")}
	for b.Loop() {
		join(b, h, "room", m, JoinOptions{Presence: true})
		h.Leave("room", m)
	}
}

// BenchmarkPresence is one change that 100 members ask for.
func BenchmarkPresence(b *testing.B) {
	r := crowd(b, 100, JoinOptions{Presence: true}).room("room")
	ch := broker.Change{Joined: true, Count: 101, User: `{"id":"u","name":"u","guest":true}`}
	for b.Loop() {
		ch.Joined = !ch.Joined
		r.Presence(ch)
	}
}

// uncounted is a counter that does not count.
type uncounted struct{ prometheus.Counter }

func (uncounted) Add(float64) {}

// BenchmarkDeliverCounted is a message to few members and to many, with and without what counts it: the
// difference is what the metrics cost a delivery.
func BenchmarkDeliverCounted(b *testing.B) {
	for _, members := range []int{1, 10, 1000} {
		for _, counts := range []bool{true, false} {
			b.Run(fmt.Sprintf("members=%d/counted=%t", members, counts), func(b *testing.B) {
				h := crowd(b, members, JoinOptions{})
				if !counts {
					h.metrics.Deliveries.Counter = uncounted{}
				}
				r, m := h.room("room"), story("e", 1, 1)[0]
				for b.Loop() {
					m.Pos, m.Seq = m.Pos+1, m.Seq+1
					r.Deliver(m)
				}
			})
		}
	}
}
