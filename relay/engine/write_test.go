package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

// overTightTCP makes an engine on loopback with tiny socket buffers on both sides.
func overTightTCP(t testing.TB, pairs ...string) *rig {
	t.Helper()
	l, dial := wiretest.ListenTightTCP(t)
	r := newRig(t, l, dial, tapes(echo), pairs...)
	t.Cleanup(r.close)
	return r
}

// overRoomyTCP makes an engine on loopback.
func overRoomyTCP(t testing.TB, pairs ...string) *rig {
	t.Helper()
	return overTCP(t, tapes(echo), pairs...)
}

// overRealPipes makes an engine over pipes, on the real clock.
func overRealPipes(t testing.TB, pairs ...string) *rig {
	t.Helper()
	l := wiretest.NewPipes()
	r := newRig(t, l, l.Dial, tapes(echo), pairs...)
	t.Cleanup(r.close)
	return r
}

// only returns the one session of a relay.
func (r *rig) only() *Session {
	r.T.Helper()
	r.srv.mu.Lock()
	defer r.srv.mu.Unlock()
	if len(r.srv.sessions) != 1 {
		r.T.Fatalf("%d sessions", len(r.srv.sessions))
	}
	for _, s := range r.srv.sessions {
		return s
	}
	return nil
}

// filler returns what the i-th frame of n bytes holds: no two frames share a run of bytes.
func filler(i, n int) []byte {
	b := []byte(fmt.Sprintf("4%d:", i))
	g := rand.New(rand.NewPCG(uint64(i), uint64(n)))
	for len(b) < n {
		b = append(b, byte('!'+g.IntN(90)))
	}
	return b
}

// interleave sends shared frames, the library's pongs and at last a close over one connection while
// its client reads in fits, and checks every byte.
func interleave(t testing.TB, r *rig, seed uint64, frames, biggest int) {
	g := rand.New(rand.NewPCG(seed, 1))
	p := r.offering()
	s := r.only()
	size := make([]int, frames)
	for i := range size {
		size[i] = 8 + g.IntN([...]int{8, 120, 400, 5000, biggest}[g.IntN(5)])
	}
	rests := make([]bool, frames) // of the sender, so that outboxes run empty
	for i := range rests {
		rests[i] = g.IntN(8) == 0
	}
	pings := make([]int, g.IntN(3*frames))
	for i := range pings {
		pings[i] = g.IntN(126)
	}

	var work sync.WaitGroup
	work.Go(func() {
		for i, n := range size {
			b := filler(i, n)
			if !s.Send(engineio.NewFrame(n, func(dst []byte) []byte { return append(dst, b...) })) {
				t.Error("a frame was refused")
			}
			if rests[i] {
				<-time.After(50 * time.Microsecond)
			}
		}
	})
	work.Go(func() {
		for i, n := range pings {
			if i%3 == 0 { // all along
				<-time.After(50 * time.Microsecond)
			}
			if _, err := p.Conn.Write(wiretest.ClientFrame(0x80|wiretest.OpPing, filler(i, n)[:n])); err != nil {
				t.Error(err)
			}
		}
	})
	next, ponged := 0, 0
	for next < frames || ponged < len(pings) {
		if g.IntN(10) == 0 {
			<-time.After(time.Duration(g.IntN(300)) * time.Microsecond)
		}
		f := p.NextFrame()
		switch {
		case f.Op == wiretest.OpText && f.Fin && next < frames && bytes.Equal(f.Payload, filler(next, size[next])):
			next++
		case f.Op == wiretest.OpPong && ponged < len(pings) && bytes.Equal(f.Payload, filler(ponged, pings[ponged])[:pings[ponged]]):
			ponged++
		default:
			t.Fatalf("frame %d of %d, pong %d of %d: opcode %x, %d bytes %.60q", next, frames, ponged, len(pings), f.Op, len(f.Payload), f.Payload)
		}
	}
	work.Wait()
	s.close(closeRestart, "this relay restarts", false)
	if f := p.NextFrame(); f.Op != wiretest.OpClose || string(f.Payload) != "\x03\xf4this relay restarts" {
		t.Fatalf("opcode %x %q", f.Op, f.Payload)
	}
	p.Write(wiretest.ClientFrame(0x80|wiretest.OpClose, nil))
	if rest, err := io.ReadAll(p.Reader); len(rest) > 0 {
		t.Fatalf("after the close: %q, %v", rest, err)
	}
}

func TestInterleave(t *testing.T) {
	for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overTightTCP, "pipe": overRealPipes} {
		for _, compression := range []string{"COMPRESSION=0", "COMPRESSION=100"} {
			t.Run(name+" "+compression, func(t *testing.T) {
				r := over(t, "OUTBOX_BYTES=1073741824", compression)
				for seed := range uint64(10) {
					interleave(t, r, seed, 60, 70_000)
					awaitGone(t, r)
				}
			})
		}
	}
}

// awaitGone waits until the relay has no session.
func awaitGone(t testing.TB, r *rig) {
	t.Helper()
	for end := time.Now().Add(time.Minute); r.srv.Count() > 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a session stays")
		}
	}
}

func FuzzInterleave(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, seed%2 == 0, uint16(20), uint32(200_000), uint8(seed&4))
	}
	f.Fuzz(func(t *testing.T, seed uint64, tcp bool, frames uint16, biggest uint32, compression uint8) {
		over := overRealPipes
		if tcp {
			over = overTightTCP
		}
		interleave(t, over(t, "OUTBOX_BYTES=1073741824", fmt.Sprint("COMPRESSION=", compression)), seed, int(frames%100)+1, int(biggest%200_000)+1)
	})
}

// What a client sends right behind its handshake is not lost, though net/http has read some of it.
func TestBytesBehindTheHandshake(t *testing.T) {
	for _, n := range []int{1, 600, 4000, 5000, 40_000} {
		for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overRoomyTCP, "pipe": overRealPipes} {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				var follow []byte
				count := 0
				for ; len(follow) < n; count++ {
					follow = append(follow, wiretest.ClientFrame(0x81, fmt.Appendf(nil, "4%d %s", count, strings.Repeat("r", count%200+1)))...)
				}
				p := wiretest.Upgrade(t, over(t).Dial(), follow...)
				p.Packet()
				for i := range count {
					p.Expect(fmt.Sprintf("4%d %s", i, strings.Repeat("r", i%200+1)))
				}
			})
		}
	}
}

// A client that is gone costs the relay an error on write, and nothing else.
func TestBrokenConnectionsWrites(t *testing.T) {
	for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overTightTCP, "pipe": overRealPipes} {
		t.Run(name, func(t *testing.T) {
			r := over(t, "OUTBOX_BYTES=1073741824")
			p := r.Open()
			p.Packet()
			s := r.only()
			big := engineio.NewFrame(1<<20, func(dst []byte) []byte { return append(dst, make([]byte, 1<<20)...) })
			for range 3 { // the socket holds less than one
				s.Send(big)
			}
			if tcp, ok := p.Conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = p.Conn.Close()
			for s.Send(big) { // until the session has noticed
				<-time.After(time.Millisecond)
			}
			awaitGone(t, r)
		})
	}
}

// A session whose connection refuses writes at once is ended by the writer itself.
func TestWriterMeetsAnError(t *testing.T) {
	r := overTCP(t, tapes(echo))
	p := r.Open()
	p.Packet()
	s := r.only()
	k := socketOf(s)
	k.conn.mu.Lock()
	_ = k.conn.Conn.(*net.TCPConn).CloseWrite()
	k.conn.mu.Unlock()
	s.Send(pingFrame)
	p.EOF()
	awaitGone(t, r)
}

// Nothing follows a close frame, whoever wrote it.
func TestNothingFollowsAClose(t *testing.T) {
	for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overRoomyTCP, "pipe": overRealPipes} {
		t.Run(name, func(t *testing.T) {
			r := over(t)
			p := r.Open()
			p.Packet()
			s := r.only()
			go func() { _, _ = socketOf(s).conn.Write([]byte{closeByte, 0}) }() // as the library does
			if f := p.NextFrame(); f.Op != wiretest.OpClose {
				t.Fatalf("opcode %x", f.Op)
			}
			s.Send(pingFrame)
			select {
			case <-orNow(s.out.close()):
			case <-time.After(time.Minute): // a write waits for a reader
				t.Error("something is written behind the close")
			}
			s.close(closeSlow, "too slow", true)
			if rest, err := io.ReadAll(p.Reader); len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

// A control frame of the library's waits until the frame under way is whole.
func TestControlFramesWait(t *testing.T) {
	r := overTCP(t, tapes(echo))
	p := r.Open()
	p.Packet()
	k := socketOf(r.only())
	whole := engineio.NewFrame(100, func(dst []byte) []byte { return append(dst, filler(0, 100)...) }).Wire()
	k.conn.mu.Lock()
	_, _ = k.conn.Conn.Write(whole[:50])
	p.Write(wiretest.ClientFrame(0x80|wiretest.OpPing, []byte("now")))
	<-time.After(20 * time.Millisecond) // time for a pong that does not wait
	_, _ = k.conn.Conn.Write(whole[50:])
	k.conn.mu.Unlock()
	if f := p.NextFrame(); f.Op != wiretest.OpText || !bytes.Equal(f.Payload, filler(0, 100)) {
		t.Fatalf("opcode %x %q", f.Op, f.Payload)
	}
	if f := p.NextFrame(); f.Op != wiretest.OpPong || string(f.Payload) != "now" {
		t.Fatalf("opcode %x %q", f.Op, f.Payload)
	}
}

func TestHeaderForms(t *testing.T) {
	r := overTCP(t, tapes(echo))
	p := r.Open()
	p.Packet()
	for _, n := range []int{1, 2, 125, 126, 127, 65535, 65536, gatherBytes / 2, gatherBytes, gatherBytes + 1} {
		r.only().Send(engineio.NewFrame(n, func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte{'4'}, n)...) }))
		if f := p.NextFrame(); len(f.Payload) != n { // readFrame checks the form
			t.Errorf("%d bytes, want %d", len(f.Payload), n)
		}
	}
}

func TestHijackFails(t *testing.T) {
	h := &hijacker{ResponseWriter: noHijack{}}
	if _, _, err := h.Hijack(); err == nil || errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

type noHijack struct{}

func (noHijack) Header() http.Header               { return nil }
func (noHijack) WriteHeader(int)                   {}
func (noHijack) Write(p []byte) (n int, err error) { return len(p), nil }

// orNow returns c, or a channel that is ready if c is nil: then there is nothing to wait for.
func orNow(c <-chan struct{}) <-chan struct{} {
	if c != nil {
		return c
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}
