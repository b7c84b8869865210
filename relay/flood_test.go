package relay

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/relay/wiretest"
)

// Of many who flood each is closed, though their address has no time for what they send, and told why; who has the same
// address, and does all that one may, is not.
func TestFloodersAndNeighbour(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, format := range map[string]string{
		"pings":    `42%d["ping",{"n":1}]`,
		"joins":    `42%d["join",{"room":"flood"}]`,
		"CONNECTs": `40/space-%d,`,
	} {
		t.Run(name, func(t *testing.T) {
			r := overTCP(t, "HANDSHAKE_RATE=off")
			good := r.guest("good")
			closed := make(chan bool)
			go func() {
				_, _ = io.Copy(io.Discard, good.Conn)
				close(closed)
			}()
			var flooders []*wiretest.Peer
			for range 60 {
				flooders = append(flooders, r.guest("mallory"))
			}
			began := time.Now()
			var floods sync.WaitGroup
			var cut atomic.Int64
			for _, p := range flooders {
				floods.Go(func() { flood(p.Conn, format) })
				floods.Go(func() {
					defer p.Conn.Close()
					reason, err := reasonOf(p)
					if err != nil {
						cut.Add(1) // before it has read why: it goes on to write
					} else if !strings.HasPrefix(reason, "1008 rate_limited: ") {
						t.Error(reason)
					}
				})
			}
			over := make(chan struct{})
			go func() {
				floods.Wait()
				close(over)
			}()
			allowed := 250 // EVENT_RATE
			for sent := 0; ; {
				for ; sent < allowed; sent++ {
					good.Text(fmt.Sprintf(`42%d["ping",{"n":1}]`, sent))
				}
				select {
				case <-closed:
					t.Fatal("who keeps to the limits is closed")
				case <-over:
					t.Logf("all were closed after %s, %d of them without a word", time.Since(began), cut.Load())
					if cut.Load() > 30 {
						t.Error("most were not told why")
					}
					return
				case <-time.After(50 * time.Millisecond):
					allowed = 250 + int(50*time.Since(began).Seconds())
				}
			}
		})
	}
}

// reasonOf reads until a client is closed, and returns the code and the reason.
func reasonOf(p *wiretest.Peer) (string, error) {
	for {
		f, err := wiretest.ReadFrame(p.Reader)
		if err != nil {
			return "", err
		}
		if f.Op == wiretest.OpClose {
			return fmt.Sprint(int(f.Payload[0])<<8|int(f.Payload[1]), " ", string(f.Payload[2:])), nil
		}
	}
}

// flood writes until it can't.
func flood(c net.Conn, format string) {
	for i := 0; ; i++ {
		if _, err := c.Write(wiretest.ClientFrame(0x81, fmt.Appendf(nil, format, i))); err != nil {
			return
		}
	}
}
