package relay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"setu/relay/wiretest"
	"testing"
	"testing/synctest"
	"time"
)

// words are what a fuzzed client sends: requests, packets out of place, and bytes that are no
// frame.
var words = []func(g *rand.Rand, i int) []byte{
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x81, []byte("40")) },
	func(*rand.Rand, int) []byte {
		return wiretest.ClientFrame(0x81, []byte(`40{"key":"0123456789abcdef"}`))
	},
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x81, []byte("40/x")) },
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x81, []byte("3")) },
	func(g *rand.Rand, i int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["join",{"room":"r%d","history":%d,"presence":%t}]`, i, g.IntN(3), g.IntN(5), g.IntN(2) == 0))
	},
	func(g *rand.Rand, i int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["leave",{"room":"r%d"}]`, i, g.IntN(3)))
	},
	func(g *rand.Rand, i int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["publish",{"room":"r%d","id":"%d","data":"%s"}]`, i, g.IntN(3), g.IntN(9), bytes.Repeat([]byte("x"), g.IntN(300))))
	},
	func(g *rand.Rand, _ int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42["signal",{"room":"r%d","data":[]}]`, g.IntN(3)))
	},
	func(g *rand.Rand, i int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["history",{"room":"r%d","limit":%d}]`, i, g.IntN(3), g.IntN(5)))
	},
	func(g *rand.Rand, i int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["members",{"room":"r%d"}]`, i, g.IntN(3)))
	},
	func(_ *rand.Rand, i int) []byte {
		return wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["nonsense",%d]`, i, i))
	},
	func(*rand.Rand, int) []byte {
		return append(wiretest.ClientFrame(0x81, []byte(`451-["a"]`)), wiretest.ClientFrame(0x82, []byte("b"))...)
	},
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x89, []byte("ping")) },
	func(*rand.Rand, int) []byte {
		return append(wiretest.ClientFrame(0x01, []byte("3")), wiretest.ClientFrame(0x80, nil)...)
	},
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x81, []byte(`45999-["a"]`)) },
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x81, []byte("1")) },
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x81, []byte("41")) },
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0x88, []byte{3, 232}) },
	func(*rand.Rand, int) []byte { return wiretest.ClientFrame(0xC1, []byte("x")) },
}

// FuzzSession lets a client send anything, in the order that the fuzzer picks: script's bytes
// choose words, raw follows as text, binary and bytes that are no frame. Whatever it is, the
// session ends, alone, and nothing of it stays.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 4, 6, 5}, []byte(`42["join",{"room":"a"}]`), uint8(0))
	f.Add([]byte{1, 4, 4, 4, 6, 6, 7, 8, 9, 10, 11, 12, 13, 15}, []byte(`420["publish",{"room":"r0","data":1e400}]`), uint8(1))
	f.Add([]byte{0, 4, 6, 14}, []byte("\xff\x00"), uint8(2))
	f.Add([]byte{4}, []byte(nil), uint8(3))
	f.Add([]byte{0, 4, 6, 17}, []byte(`42["history",{"room":"r0","before":"a.1.1.a"}]`), uint8(0))
	f.Fuzz(func(t *testing.T, script, raw []byte, end uint8) {
		overPipes(t, func(t *testing.T, r *rig) {
			g := rand.New(rand.NewPCG(uint64(len(raw)), uint64(end)))
			witness := r.guest("witness")
			p := r.Open()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				for {
					if _, err := wiretest.ReadFrame(p.Reader); err != nil {
						return
					}
				}
			}()
			for i, b := range script[:min(len(script), 200)] {
				_, _ = p.Conn.Write(words[int(b)%len(words)](g, i))
			}
			switch end % 4 {
			case 0:
				_, _ = p.Conn.Write(wiretest.ClientFrame(0x81, raw))
			case 1:
				_, _ = p.Conn.Write(wiretest.ClientFrame(0x82, raw))
			case 2:
				_, _ = p.Conn.Write(raw)
			}
			if end&4 == 0 {
				_ = p.Conn.Close()
			} else { // silence: a deadline ends it
				<-time.After(2 * time.Minute)
				witness = r.guest("another")
			}
			<-gone
			witness.Nothing()
			synctest.Wait()
			if n := r.srv.engine.Count(); n != 1 {
				t.Errorf("%d sessions are left", n)
			}
		}, "MAX_PAYLOAD=1000")
	})
}
