package engine

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/wiretest"
)

// MAX_PAYLOAD bounds what a message inflates to, and what is larger is read past as ever.
func TestInflatedSizes(t *testing.T) {
	const most = 2000
	for _, size := range []int{most - 1, most, most + 1, OversizeFactor * most, OversizeFactor*most + 1} {
		overPipes(t, tapes(func(*Session, []byte, bool) error { return nil }), func(t *testing.T, r *rig) {
			p := r.offering()
			h := r.only().handler.(*tape)
			message := append([]byte("4abc"), bytes.Repeat([]byte("x"), size-4)...)
			go func() {
				_, _ = p.Conn.Write(slices.Concat(wiretest.DeflatedFrame(wiretest.OpText, message), wiretest.DeflatedFrame(wiretest.OpText, []byte("4next"))))
			}()
			if size > OversizeFactor*most {
				if code, _ := p.Closed(); code != closeTooLarge || len(h.all()) > 0 || !r.log.Has("level=WARN") {
					t.Errorf("%d: closed with %d, heard %.40q", size, code, h.all())
				}
				return
			}
			synctest.Wait()
			text := string(message[1:])
			if size > most {
				text = fmt.Sprintf("%d bytes: abc", size)
			}
			if !slices.Equal(h.all(), []string{text, "next"}) {
				t.Errorf("%d: heard %.40q", size, h.all())
			}
		}, fmt.Sprint("MAX_PAYLOAD=", most), "COMPRESSION=1")
	}
}

// bomb returns about a kilobyte that inflates to a megabyte, and may be repeated within a message.
func bomb() []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Flush()
	return b.Bytes()
}

// A gigabyte in a megabyte ends its connection, soon and in little memory, however it comes; others go on.
func TestBombs(t *testing.T) {
	part := bomb()
	whole := wiretest.ClientFrame(0xC2, bytes.Repeat(part, 1024))
	var pieces []byte
	for i := range 1024 {
		first := byte(wiretest.OpContinue)
		if i == 0 {
			first = 0x40 | wiretest.OpBinary
		}
		pieces = append(pieces, wiretest.ClientFrame(first, part)...)
	}
	for name, flood := range map[string][]byte{"one frame": whole, "pieces": pieces} {
		r := overTCP(t, tapes(echo), "COMPRESSION=1", "MAX_PAYLOAD=1000000")
		p, q := r.offering(), r.greeted()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		go func() { _, _ = p.Conn.Write(flood) }()
		if code, _ := p.Closed(); code != closeTooLarge {
			t.Errorf("%s: closed with %d", name, code)
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%s: took %v and %d bytes", name, took, grown)
		}
		q.Text("4still here")
		q.Expect("4still here")
	}
}

// Many clients who begin a bomb and then say nothing hold little, though more than they sent.
func TestBombsThatDoNotEnd(t *testing.T) {
	r := overTCP(t, tapes(echo), "COMPRESSION=1")
	begun := wiretest.ClientFrame(0x42, bomb()[:200])
	var peers []*wiretest.Peer
	for range 50 {
		peers = append(peers, r.offering())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, p := range peers {
		p.Write(begun)
	}
	each := int64(0)
	for range 25 { // what is still being read holds more
		<-time.After(200 * time.Millisecond)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if each = (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(len(peers)); each <= 2*bombBytes {
			return
		}
	}
	t.Errorf("each holds %d bytes", each)
}

// What is out of all proportion is read past and answered, and what is well compressed is not.
func TestBombsAreTooLarge(t *testing.T) {
	text := &strings.Builder{}
	for g := rand.New(rand.NewPCG(1, 2)); text.Len() < 900_000; {
		fmt.Fprintf(text, `{"id":%d,"name":"somebody","online":true},`, g.IntN(1000))
	}
	for name, message := range map[string]string{
		"a bomb":            strings.Repeat("x", 500_000),
		"a small one":       strings.Repeat("x", bombBytes+1),
		"smaller than such": strings.Repeat("x", bombBytes-10),
		"a table":           text.String(),
	} {
		overPipes(t, tapes(func(*Session, []byte, bool) error { return nil }), func(t *testing.T, r *rig) {
			p := r.offering()
			h := r.only().handler.(*tape)
			want := message
			if strings.HasSuffix(name, "a bomb") || name == "a small one" {
				want = "1000001 bytes: xxx"
			}
			p.Write(slices.Concat(wiretest.DeflatedFrame(wiretest.OpText, []byte("4"+message)), wiretest.DeflatedFrame(wiretest.OpText, []byte("4next"))))
			synctest.Wait()
			if !slices.Equal(h.all(), []string{want, "next"}) {
				t.Errorf("%s: heard %.80q", name, h.all())
			}
		}, "COMPRESSION=1", "MAX_PAYLOAD=1000000")
	}
}

// What a message inflates to counts for BYTES_RATE, and so do the pieces that it comes in.
func TestInflatedFloods(t *testing.T) {
	large := wiretest.DeflatedFrame(wiretest.OpText, append([]byte("4"), make([]byte, 4000)...))
	first := map[string][]byte{"pieces": wiretest.ClientFrame(0x41, wiretest.Deflate(append([]byte("4"), make([]byte, 4000)...)))}
	for name, flood := range map[string][]byte{
		"large messages": large,
		"pieces":         bytes.Repeat(wiretest.ClientFrame(0x00, nil), 500),
	} {
		overPipes(t, tapes(connecting), func(t *testing.T, r *rig) {
			p := r.offering()
			p.Write(first[name])
			go func() {
				for range 1000 {
					if _, err := p.Conn.Write(flood); err != nil {
						return
					}
				}
				t.Errorf("%s: all was taken", name)
			}()
			f := p.FrameUntil(wiretest.OpClose)
			if code, reason := int(f.Payload[0])<<8|int(f.Payload[1]), string(f.Payload[2:]); code != closePolicy || reason != excessReason {
				t.Error(name, code, reason)
			}
			<-time.After(2*(flushTimeout+shedTimeout) + time.Second) // what came and what it inflated to may be refused both
			if n := r.srv.Count(); n != 0 {
				t.Errorf("%s: %d sessions are left", name, n)
			}
		}, "EVENT_RATE=10/s", "BYTES_RATE=1000/s:10000", "MAX_PAYLOAD=5000", "COMPRESSION=1")
	}
}

// Paid is what messages inflate to, and no more: not twice what came.
func TestInflatedIsPaidOnce(t *testing.T) {
	overPipes(t, tapes(connecting), func(t *testing.T, r *rig) {
		p := r.offering()
		paid, sent := 0, 0
		socketOf(r.only()).framing.inflating.pay = func(n int) bool { paid += n; return true }
		g := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			message := append([]byte("4"), strings.Repeat("word ", g.IntN(2000))...)
			frame := wiretest.DeflatedFrame(wiretest.OpText, message)
			if g.IntN(3) == 0 {
				frame = wiretest.ClientFrame(0x81, message)
			}
			p.Write(frame)
			sent += max(0, len(message)-len(frame))
		}
		synctest.Wait()
		if paid < sent*95/100 || paid > sent*105/100 {
			t.Errorf("%d bytes were paid beside what came, want about %d", paid, sent)
		}
	}, "COMPRESSION=1")
}

// Nothing that is sent as a compressed message does harm, and what is one is heard as it was meant. (One
// that ends its stream may be followed by anything.)
func FuzzInflate(f *testing.F) {
	f.Add(wiretest.Deflate([]byte("4hello")), uint8(3))
	f.Add(wiretest.Deflate(bytes.Repeat([]byte("4x"), 5000)), uint8(200))
	f.Add([]byte("\xff\xff\xff"), uint8(1))
	f.Add(bomb(), uint8(0))
	f.Fuzz(func(t *testing.T, payload []byte, size uint8) {
		synctest.Test(t, func(t *testing.T) {
			l := wiretest.NewPipes()
			r := newRig(t, l, l.Dial, tapes(func(*Session, []byte, bool) error { return nil }), "COMPRESSION=1", "MAX_PAYLOAD=3000")
			defer r.close()
			p := r.offering()
			h := r.only().handler.(*tape)
			go func() { _, _ = io.Copy(io.Discard, p.Reader) }()
			first := byte(0x40 | wiretest.OpBinary)
			for part := range slices.Chunk(payload, int(size)+1) {
				if _, err := p.Conn.Write(wiretest.ClientFrame(first, part)); err != nil {
					break
				}
				first = wiretest.OpContinue
			}
			_, _ = p.Conn.Write(wiretest.ClientFrame(0x80|first, nil))
			synctest.Wait()
			meant, err := io.ReadAll(flate.NewReader(strings.NewReader(string(payload) + "\x00\x00\xff\xff")))
			if (err == nil || err == io.ErrUnexpectedEOF) && len(meant) <= 3000 && (len(h.all()) == 0 || h.all()[0] != string(meant)) {
				t.Errorf("heard %q, not %q", h.all(), meant)
			}
			for _, s := range h.all() {
				if len(s) > 3000 {
					t.Errorf("heard %d bytes", len(s))
				}
			}
		})
	})
}
