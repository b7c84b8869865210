package engine

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
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
func (s seat) HearsMoves() bool   { return false }
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

// BenchmarkCompress is what a message costs that is compressed: once, however many are sent it.
func BenchmarkCompress(b *testing.B) {
	srv := &Server{cfg: Config{Compression: 1}, deflaters: newDeflaters()}
	for _, size := range []int{128, 1 << 10, 10 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			message := `42["message",{"room":"lobby","seq":12345,"id":"Ab3dEf6hIj9","from":{"id":"~kD5P5yoGfBBPSEMX","name":"Asha"},"data":"` +
				words(size) + `","at":1764238311954},"2cwtps.1a2b3.9ix.8cfd55a0f7"]`
			b.ReportAllocs()
			wire := 0
			for b.Loop() {
				wire = engineio.NewMessage([]byte(message), false).Deflated(srv.deflate).Size()
			}
			b.ReportMetric(float64(len(message)), "plain-B")
			b.ReportMetric(float64(wire), "wire-B")
		})
	}
}

// words returns so many bytes of what could be said.
func words(size int) string {
	all := strings.Fields(`the of and a to in is you that it he was for on are as with his they at be this have from or one had by
		word but not what all were we when your can said there use an each which she do how their if will up other about out many
		then them these so some her would make like him into time has look two more write go see number no way could people my`)
	g := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(all[g.IntN(len(all))] + " ")
	}
	return text.String()[:size]
}
