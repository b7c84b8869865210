package engine

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"setu/relay/limit"
	"setu/relay/wiretest"
)

// kindOfTest says that what begins with j is a join, that what is large counts for seven messages, and nothing of the
// rest.
func kindOfTest(message []byte, size int) (limit.Kind, int) {
	switch {
	case size > 1000:
		return limit.Publish, 7
	case len(message) > 0 && message[0] == 'j':
		return limit.Join, 1
	}
	return 0, 0
}

// However what comes is cut into what is read, or looked at before, each packet is counted once, by its kind.
func TestTally(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	frames := [][]byte{
		wiretest.ClientFrame(0x81, []byte("4j")),
		wiretest.ClientFrame(0x81, []byte("4join"+strings.Repeat("x", 300))),
		wiretest.ClientFrame(0x81, []byte("3")),
		wiretest.ClientFrame(0x89, nil),
		wiretest.ClientFrame(0x89, []byte("4j")),
		wiretest.ClientFrame(0x8a, []byte("4j")),
		wiretest.ClientFrame(0x81, []byte("4"+strings.Repeat("p", 70_000))),
		wiretest.ClientFrame(0x00, []byte("4j")),
		// and what is not counted
		wiretest.ClientFrame(0x81, []byte("4x")),
		wiretest.ClientFrame(0x81, nil),
		wiretest.ClientFrame(0x01, []byte("4j")),
		wiretest.ClientFrame(0x82, []byte("4j")),
		wiretest.ClientFrame(0xc1, []byte("4j")), // compressed
		wiretest.ClientFrame(0x88, nil),
	}
	kinds := []limit.Kind{limit.Join, limit.Join, limit.Event, limit.Event, limit.Event, limit.Event, limit.Publish, limit.Bytes}
	rates := limit.Rates{}
	for range 200 {
		var stream []byte
		var want limit.Packets
		split := map[int]bool{} // where a packet's beginning is cut its kind can't be told
		for range 100 {
			i := random.IntN(len(frames))
			if i < len(kinds) {
				want[kinds[i]]++
				switch kinds[i] {
				case limit.Publish:
					want[limit.Publish] += 6
				case limit.Bytes:
					want[limit.Bytes] += 6*128 - 1
				}
			}
			for at := range min(len(frames[i]), maxHeader+kindBytes) {
				if at >= 2 && i < len(kinds) { // within the header, only
					split[len(stream)+at] = true
				}
			}
			stream = append(stream, frames[i]...)
		}
		n := tally{watch: &watch{kind: kindOfTest, arrivals: limit.NewArrivals(&rates)}}
		for at := 0; at < len(stream); {
			to := cut(random, split, at, len(stream))
			if random.IntN(2) == 0 {
				n.peeked(stream[at:to])
				to = cut(random, split, at, to)
			}
			n.read(stream[at:to])
			at = to
		}
		if n.watch.packets != want {
			t.Fatalf("counted %v of %v", n.watch.packets, want)
		}
	}
}

// cut returns where to go on, at one of the places that are not taken.
func cut(random *rand.Rand, taken map[int]bool, from, to int) int {
	at := from + 1 + random.IntN(min(to-from, 5000))
	for at < to && taken[at] {
		at++
	}
	return at
}

// While an address waits, whoever has sent more than it may is closed, though none of it was taken yet; whoever has
// not is served.
func TestFloodIsClosedWhileItWaits(t *testing.T) {
	for name, flood := range map[string][]byte{
		"pongs":           wiretest.ClientFrame(0x81, []byte("3")),
		"WebSocket pings": wiretest.ClientFrame(0x89, make([]byte, 100)), // few are read at a time
		"WebSocket pongs": wiretest.ClientFrame(0x8a, make([]byte, 100)),
		"fragments":       bytes.Repeat(wiretest.ClientFrame(0x00, nil), 100),
	} {
		t.Run(name, func(t *testing.T) {
			r := overTCP(t, tapes(echo), "EVENT_RATE=50/s:250", "BYTES_RATE=262144/s:4194304", "MAX_ADDRESS_CONNECTIONS=1000")
			good := r.greeted()
			p := r.greeted()
			began := time.Now()
			r.srv.Spend(netip.MustParseAddr("127.0.0.1"), time.Hour)
			if name == "fragments" {
				p.Write(wiretest.ClientFrame(0x01, []byte("4")))
				good.Write(wiretest.ClientFrame(0x01, []byte("4")))
				good.Write(bytes.Repeat(flood, 10))
			} else {
				good.Write(bytes.Repeat(flood, 200))
			}
			p.Write(bytes.Repeat(flood, 1000))
			f := p.FrameUntil(wiretest.OpClose)
			if code, reason := int(f.Payload[0])<<8|int(f.Payload[1]), string(f.Payload[2:]); code != closePolicy || reason != floodReason {
				t.Error(code, reason)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			_ = good.Conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			for {
				f, err := wiretest.ReadFrame(good.Reader)
				if err == io.EOF || err == nil && f.Op == wiretest.OpClose {
					t.Fatal("who keeps to its limits is closed, too")
				}
				if err != nil {
					break // it is still there
				}
			}
		})
	}
}
