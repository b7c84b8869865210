package engine

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/room"
)

// discard is a socket that takes everything at once, so that what is left is the relay's own cost
// of a delivery.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// seat is a session as a room's member.
type seat struct{ *Session }

func (s seat) User() broker.User  { return broker.User{ID: s.id, Name: "n"} }
func (s seat) Rename(broker.User) {}

// BenchmarkFanOutOwn measures one message to 1,000 members whose connections cost nothing.
func BenchmarkFanOutOwn(b *testing.B) {
	const members = 1000
	r := overTCP(b, tapes(echo))
	limits := broker.Limits{History: 256, TTL: 24 * time.Hour}
	store := broker.NewMemory(limits)
	defer store.Close(b.Context())
	hub := room.NewHub(store, limits)
	var all []room.Member
	for range members {
		s := r.srv.newSession(netip.Addr{})
		k := &webSocketTransport{srv: r.srv, s: s, conn: newRawConn(discard{}, nil), out: &s.out}
		s.out.wake = func() { // as a writer, without its goroutine
			for frames := k.out.take(nil, 0); len(frames) > 0; frames = k.out.take(frames[:0], sizeOf(frames)) {
				_ = k.conn.writeAll(frames)
			}
		}
		if err := hub.Join(b.Context(), "room", seat{s}, room.JoinOptions{}, func(room.Joined) {}); err != nil {
			b.Fatal(err)
		}
		all = append(all, seat{s})
	}
	body := `"id":"m","data":"` + strings.Repeat("x", 100) + `"`
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		store.Publish(b.Context(), broker.Publication{Room: "room", User: "u", ID: fmt.Sprint(i), Body: body})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/delivery")
	for _, m := range all {
		hub.Leave("room", m)
	}
}
