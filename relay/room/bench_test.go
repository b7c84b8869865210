package room

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// sink is a member that drops what it is sent, so that a benchmark measures the room alone.
type sink struct{ *member }

func (sink) Send(*engineio.Frame) bool { return true }

// crowd makes a hub with n members in a room.
func crowd(tb testing.TB, n int, o JoinOptions) *Hub {
	h, _ := newTestHub(tb)
	for i := range n {
		m := sink{guest(fmt.Sprint(i))}
		join(tb, h, "room", m, o)
		tb.Cleanup(func() { h.Leave("room", m) })
	}
	if b, ok := tb.(*testing.B); ok {
		b.ReportAllocs()
	}
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

// A message takes the same memory however many hear it: it is encoded once, and nothing is made for a member.
func TestDeliverAllocates(t *testing.T) {
	allocated := func(members int) float64 {
		r, m := crowd(t, members, JoinOptions{}).room("room"), story("e", 1, 1)[0]
		return testing.AllocsPerRun(100, func() {
			m.Pos, m.Seq = m.Pos+1, m.Seq+1
			r.Deliver(m)
		})
	}
	if few, many := allocated(1), allocated(1000); many > few {
		t.Errorf("a message takes %v allocations for one member, and %v for a thousand", few, many)
	}
}

// BenchmarkEncode is a message that comes from the store, made ready for all who are to hear it.
func BenchmarkEncode(b *testing.B) {
	body := Body("0123456789abcdef0123456789", broker.User{ID: "u", Name: "Asha"}, []byte(`"`+strings.Repeat("x", 126)+`"`))
	m := story("e", 1, 1)[0]
	m.Body = body
	b.ReportAllocs()
	for b.Loop() {
		newEncoder("").encode(`"lobby"`, m)
	}
}

// BenchmarkBody is a message as its publisher's relay gives it to the store.
func BenchmarkBody(b *testing.B) {
	u, data := broker.User{ID: "u", Name: "Asha"}, []byte(`"`+strings.Repeat("x", 126)+`"`)
	b.ReportAllocs()
	for b.Loop() {
		Body("0123456789abcdef0123456789", u, data)
	}
}

// benchEvent is as much said under a name as BenchmarkEncode's message says.
var benchEvent = Event{Name: "chat message", Args: raw(`"` + strings.Repeat("x", 126) + `"`)}

// BenchmarkEncodeEvent is BenchmarkEncode of a named event.
func BenchmarkEncodeEvent(b *testing.B) {
	body, err := EventBody("0123456789abcdef0123456789", broker.User{ID: "u", Name: "Asha"}, benchEvent)
	if err != nil {
		b.Fatal(err)
	}
	m := story("e", 1, 1)[0]
	m.Body = body
	b.ReportAllocs()
	for b.Loop() {
		newEncoder("").encode(`"lobby"`, m)
	}
}

// BenchmarkEventBody is BenchmarkBody of a named event.
func BenchmarkEventBody(b *testing.B) {
	u := broker.User{ID: "u", Name: "Asha"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EventBody("0123456789abcdef0123456789", u, benchEvent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDeliverEvent is one named event to 1,000 members, which one of them is not to hear or all are.
func BenchmarkDeliverEvent(b *testing.B) {
	for _, except := range []string{"", "conn-7"} {
		b.Run("except="+except, func(b *testing.B) {
			r := crowd(b, 1000, JoinOptions{}).room("room")
			m := story("e", 1, 1)[0]
			e := benchEvent
			e.Except = except
			m.Body = eventBodyOf(b, e)
			for b.Loop() {
				m.Pos, m.Seq = m.Pos+1, m.Seq+1
				r.Deliver(m)
			}
		})
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
