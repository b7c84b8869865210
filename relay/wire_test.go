package relay

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
	"syscall"
	"testing"
	"time"

	"setu/relay/engineio"
)

// tight is a listener whose connections hold next to nothing, so that writes are cut anywhere.
type tight struct{ net.Listener }

func (l tight) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// overTightTCP makes a relay on loopback with tiny socket buffers on both sides.
func overTightTCP(t testing.TB, pairs ...string) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, tight{l}, nil, pairs...)
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	r.dialer = func() net.Conn {
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Cleanup(r.close)
	return r
}

// overRealPipes makes a relay over pipes, on the real clock.
func overRealPipes(t testing.TB, pairs ...string) *rig {
	t.Helper()
	l := &pipes{incoming: make(chan net.Conn), closed: make(chan struct{})}
	r := newRig(t, l, nil, pairs...)
	r.dialer = func() net.Conn {
		ours, theirs := net.Pipe()
		l.incoming <- theirs
		return ours
	}
	t.Cleanup(r.close)
	return r
}

// only returns the one session of a relay.
func (r *rig) only() *Session {
	r.t.Helper()
	r.srv.mu.Lock()
	defer r.srv.mu.Unlock()
	if len(r.srv.sessions) != 1 {
		r.t.Fatalf("%d sessions", len(r.srv.sessions))
	}
	for _, s := range r.srv.sessions {
		return s
	}
	return nil
}

// filler is what the i-th frame of n bytes holds: no two frames share a run of bytes.
func filler(i, n int) []byte {
	b := []byte(fmt.Sprintf("4%d:", i))
	g := rand.New(rand.NewPCG(uint64(i), uint64(n)))
	for len(b) < n {
		b = append(b, byte('!'+g.IntN(90)))
	}
	return b
}

// interleave lets shared frames, the library's pongs and at last a close go out over one connection while its client reads
// in fits, and checks every byte that comes.
func interleave(t testing.TB, r *rig, seed uint64, frames, biggest int) {
	g := rand.New(rand.NewPCG(seed, 1))
	p := r.open()
	p.packet()
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
			if _, err := p.c.Write(clientFrame(0x80|opPing, filler(i, n)[:n])); err != nil {
				t.Error(err)
			}
		}
	})
	next, ponged := 0, 0
	for next < frames || ponged < len(pings) {
		if g.IntN(10) == 0 {
			<-time.After(time.Duration(g.IntN(300)) * time.Microsecond)
		}
		f := p.frame()
		switch {
		case f.op == opText && f.fin && next < frames && bytes.Equal(f.payload, filler(next, size[next])):
			next++
		case f.op == opPong && ponged < len(pings) && bytes.Equal(f.payload, filler(ponged, pings[ponged])[:pings[ponged]]):
			ponged++
		default:
			t.Fatalf("frame %d of %d, pong %d of %d: opcode %x, %d bytes %.60q", next, frames, ponged, len(pings), f.op, len(f.payload), f.payload)
		}
	}
	work.Wait()
	s.close(closeRestart, "this relay restarts", false)
	if f := p.frame(); f.op != opClose || string(f.payload) != "\x03\xf4this relay restarts" {
		t.Fatalf("opcode %x %q", f.op, f.payload)
	}
	p.write(clientFrame(0x80|opClose, nil))
	if rest, err := io.ReadAll(p.r); len(rest) > 0 {
		t.Fatalf("after the close: %q, %v", rest, err)
	}
}

func TestInterleave(t *testing.T) {
	for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overTightTCP, "pipe": overRealPipes} {
		t.Run(name, func(t *testing.T) {
			r := over(t, "OUTBOX_BYTES=1073741824")
			for seed := range uint64(10) {
				interleave(t, r, seed, 60, 70_000)
				awaitGone(t, r)
			}
		})
	}
}

// awaitGone waits until the relay has no session.
func awaitGone(t testing.TB, r *rig) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); r.srv.count() > 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a session stays")
		}
	}
}

func FuzzInterleave(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, seed%2 == 0, uint16(20), uint32(200_000))
	}
	f.Fuzz(func(t *testing.T, seed uint64, tcp bool, frames uint16, biggest uint32) {
		over := overRealPipes
		if tcp {
			over = overTightTCP
		}
		interleave(t, over(t, "OUTBOX_BYTES=1073741824"), seed, int(frames%100)+1, int(biggest%200_000)+1)
	})
}

// What a client sends right behind its handshake has been read ahead by net/http, in part.
func TestBytesBehindTheHandshake(t *testing.T) {
	for _, n := range []int{1, 600, 4000, 5000, 40_000} {
		for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overTCP, "pipe": overRealPipes} {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				follow := clientFrame(0x81, []byte("40"))
				count := 0
				for ; len(follow) < n; count++ {
					follow = append(follow, clientFrame(0x81, fmt.Appendf(nil, `42%d["leave",{"room":"%s"}]`, count, strings.Repeat("r", count%200+1)))...)
				}
				p := upgrade(t, over(t).dial(), follow...)
				p.packet()
				p.packet()
				p.packet()
				for i := range count {
					p.expect(fmt.Sprintf(`43%d[{"ok":true}]`, i))
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
			p := r.open()
			p.packet()
			s := r.only()
			big := engineio.NewFrame(1<<20, func(dst []byte) []byte { return append(dst, make([]byte, 1<<20)...) })
			for range 3 { // the socket holds less than one
				s.Send(big)
			}
			if tcp, ok := p.c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = p.c.Close()
			for s.Send(big) { // until the session has noticed
				<-time.After(time.Millisecond)
			}
			awaitGone(t, r)
		})
	}
}

// A socket that refuses writes at once is ended by the flusher itself.
func TestFlusherMeetsAnError(t *testing.T) {
	r := overTCP(t)
	p := r.open()
	p.packet()
	s := r.only()
	k := socketOf(s)
	k.wire.mu.Lock()
	_ = k.wire.Conn.(*net.TCPConn).CloseWrite()
	k.wire.mu.Unlock()
	s.Send(pingFrame)
	p.eof()
	awaitGone(t, r)
}

// Nothing follows a close frame, whoever wrote it.
func TestNothingFollowsAClose(t *testing.T) {
	for name, over := range map[string]func(testing.TB, ...string) *rig{"tcp": overTCP, "pipe": overRealPipes} {
		t.Run(name, func(t *testing.T) {
			r := over(t)
			p := r.open()
			p.packet()
			s := r.only()
			go func() { _, _ = socketOf(s).wire.Write([]byte{finClose, 0}) }() // as the library does
			if f := p.frame(); f.op != opClose {
				t.Fatalf("opcode %x", f.op)
			}
			s.Send(pingFrame)
			select {
			case <-orNow(s.out.close()):
			case <-time.After(5 * time.Second): // a write waits for a reader
				t.Error("something is written behind the close")
			}
			s.close(closeSlow, "too slow", true)
			if rest, err := io.ReadAll(p.r); len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

// A control frame of the library's waits until the frame under way is whole.
func TestControlFramesWait(t *testing.T) {
	r := overTCP(t)
	p := r.open()
	p.packet()
	k := socketOf(r.only())
	whole := engineio.NewFrame(100, func(dst []byte) []byte { return append(dst, filler(0, 100)...) }).Wire()
	k.wire.mu.Lock()
	_, _ = k.wire.Conn.Write(whole[:50])
	p.write(clientFrame(0x80|opPing, []byte("now")))
	<-time.After(20 * time.Millisecond) // time for a pong that does not wait
	_, _ = k.wire.Conn.Write(whole[50:])
	k.wire.mu.Unlock()
	if f := p.frame(); f.op != opText || !bytes.Equal(f.payload, filler(0, 100)) {
		t.Fatalf("opcode %x %q", f.op, f.payload)
	}
	if f := p.frame(); f.op != opPong || string(f.payload) != "now" {
		t.Fatalf("opcode %x %q", f.op, f.payload)
	}
}

func TestHeaderForms(t *testing.T) {
	r := overTCP(t)
	p := r.open()
	p.packet()
	for _, n := range []int{1, 2, 125, 126, 127, 65535, 65536, scratch / 2, scratch, scratch + 1} {
		r.only().Send(engineio.NewFrame(n, func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte{'4'}, n)...) }))
		if f := p.frame(); len(f.payload) != n { // readFrame checks the form
			t.Errorf("%d bytes, want %d", len(f.payload), n)
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

// orNow makes of nil, which stands for nothing to wait for, a channel that is ready.
func orNow(c <-chan struct{}) <-chan struct{} {
	if c != nil {
		return c
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}
