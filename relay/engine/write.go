package engine

import (
	"net"
	"runtime"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"setu/relay/engineio"
	"setu/relay/metrics"
	"setu/relay/socket"
)

// Everything that is written to a WebSocket's connection is written here: by the writers, which
// never wait for a client; by a goroutine of one client's own, for what its socket did not take at
// once; and by the library, for control frames. Each takes rawConn.mu and gives it back. A frame
// that is half written stands in rawConn.rest: whoever comes next writes that first.

// writers write what is in outboxes: one goroutine while little waits, as many as there are processors
// when more does. While they work, frames gather in the outboxes that wait, and one system call carries
// them all: cost per delivery falls as load rises.
type writers struct {
	// immutable
	count int
	wake  chan struct{} // has room for one for each writer that is to go on

	wg sync.WaitGroup

	mu      sync.Mutex            // guards what follows
	dirty   []*webSocketTransport // whose outboxes have something, from next on
	next    int
	awake   int // writers that write, or have been woken
	stopped bool
}

// A writer takes a few clients at a time, and has another one woken when more than it wakes for wait.
const (
	writerTakes = 8
	writerLoad  = 16
)

// gatherBytes is how many bytes of small frames are gathered for one write. A copy is cheaper than
// an iovec.
const gatherBytes = 64 << 10

type writer struct {
	// immutable
	all     *writers
	counter prometheus.Counter

	// owned by run
	frames []*engineio.Frame
	gather []byte
	try    tryWrite
	tryFn  func(fd uintptr) bool // try.write, made once
	sent   int                   // bytes that are not counted yet
}

func newWriters(m *metrics.Metrics) *writers {
	count := runtime.GOMAXPROCS(0)
	ws := &writers{count: count, awake: count, wake: make(chan struct{}, count)}
	for range count {
		w := &writer{all: ws, counter: m.SentBytes.Of(metrics.WebSocket), gather: make([]byte, 0, gatherBytes)}
		w.tryFn = w.try.write
		ws.wg.Go(w.run)
	}
	return ws
}

// stop ends the writers, when no session is left.
func (ws *writers) stop() {
	ws.mu.Lock()
	ws.stopped = true
	asleep := ws.count - ws.awake
	ws.awake = ws.count
	ws.mu.Unlock()
	for range asleep {
		ws.wake <- struct{}{}
	}
	ws.wg.Wait()
}

// add queues a client whose outbox has something.
func (ws *writers) add(t *webSocketTransport) {
	ws.mu.Lock()
	ws.dirty = append(ws.dirty, t)
	more := ws.awake < ws.count && len(ws.dirty)-ws.next > writerLoad*ws.awake
	if more {
		ws.awake++
	}
	ws.mu.Unlock()
	if more {
		ws.wake <- struct{}{}
	}
}

// take moves clients whose outboxes have something to dst. If there are none the writer is to wait for
// wake, unless it is to stop.
func (ws *writers) take(dst []*webSocketTransport) (taken []*webSocketTransport, stopped bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	n := min(writerTakes, len(ws.dirty)-ws.next)
	if n == 0 {
		ws.awake--
		return dst, ws.stopped
	}
	some := ws.dirty[ws.next : ws.next+n]
	dst = append(dst, some...)
	clear(some)
	if ws.next += n; 2*ws.next >= len(ws.dirty) {
		ws.dirty, ws.next = slices.Delete(ws.dirty, 0, ws.next), 0
	}
	return dst, false
}

func (w *writer) run() {
	var work []*webSocketTransport
	for {
		var stopped bool
		work, stopped = w.all.take(work[:0])
		if len(work) == 0 {
			w.countSent()
			if stopped {
				return
			}
			<-w.all.wake
			continue
		}
		for i, t := range work {
			w.drain(t)
			work[i] = nil
		}
		if w.sent >= countAfter {
			w.countSent()
		}
	}
}

// drain writes what t has queued, as far as its socket takes it at once.
func (w *writer) drain(t *webSocketTransport) {
	written := 0
	for {
		w.frames = t.out.take(w.frames[:0], written)
		if len(w.frames) == 0 {
			return
		}
		written = sizeOf(w.frames)
		t.compress(w.frames)
		left, err := w.writeNow(t.conn)
		if err != nil {
			t.breakConn()
			left = 0
		}
		if left > 0 {
			t.drainLater(w.frames, left, written)
		}
		clear(w.frames)
		if left > 0 {
			return
		}
	}
}

// writeNow hands w.frames to the socket until they are through or it takes no more, and returns how
// many bytes are left: of those a frame that was begun is in c.rest, with all after it.
func (w *writer) writeNow(c *rawConn) (left int, err error) {
	size := sizeOf(w.frames)
	if c.fd == nil || !c.mu.TryLock() {
		return size, nil
	}
	defer c.mu.Unlock()
	if c.closeSent {
		return 0, nil
	}
	if len(c.rest) > 0 {
		return size, nil
	}
	done, err := w.writeFrames(c)
	w.sent += done
	if err == nil && done > 0 && done < size {
		c.rest = buffers(w.frames, done)
	}
	return size - done, err
}

// writeFrames writes w.frames without waiting, small ones together. c.mu is held.
func (w *writer) writeFrames(c *rawConn) (done int, err error) {
	for i := 0; i < len(w.frames); {
		b := w.frames[i].Wire()
		i++
		if len(b) < gatherBytes/2 {
			w.gather = append(w.gather[:0], b...)
			for i < len(w.frames) && len(w.gather)+w.frames[i].Size() <= gatherBytes {
				w.gather = append(w.gather, w.frames[i].Wire()...)
				i++
			}
			b = w.gather
		}
		w.try.buf, w.try.n, w.try.err = b, 0, nil
		if err := c.fd.Write(w.tryFn); err != nil {
			return done, err
		}
		done += w.try.n
		if w.try.err != nil || w.try.n < len(b) {
			return done, w.try.err
		}
	}
	return done, nil
}

// tryWrite is one write to a descriptor that does not wait.
type tryWrite struct {
	buf []byte
	n   int
	err error
}

// write is called with the descriptor; true says not to wait for it.
func (w *tryWrite) write(fd uintptr) bool {
	w.n, w.err = socket.TryWrite(fd, w.buf)
	return true
}

// drainLater goes on with a drain in a goroutine of the client's own, for as long as there is
// something to write. Of frames, left bytes are not written; what was begun of them is in the
// connection's rest. The outbox knows them as size bytes.
func (t *webSocketTransport) drainLater(frames []*engineio.Frame, left, size int) {
	var mine []*engineio.Frame
	if left == sizeOf(frames) {
		mine = append(mine, frames...)
	}
	t.srv.wg.Go(func() {
		for {
			if err := t.conn.writeAll(mine); err != nil {
				t.breakConn()
			}
			clear(mine)
			if mine = t.out.take(mine[:0], size); len(mine) == 0 {
				return
			}
			size = sizeOf(mine)
			t.compress(mine)
		}
	})
}

// writeAll writes frames, after what was left over. It waits for the socket.
func (c *rawConn) writeAll(frames []*engineio.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.writeRest(); err != nil || c.closeSent {
		return err
	}
	bufs := buffers(frames, 0)
	n, err := bufs.WriteTo(c.Conn)
	c.countSent(int(n))
	return err
}

// writeRest writes what was left over. c.mu is held.
func (c *rawConn) writeRest() error {
	if len(c.rest) == 0 {
		return nil
	}
	rest := c.rest
	c.rest = nil
	n, err := rest.WriteTo(c.Conn)
	c.countSent(int(n))
	return err
}

// closeByte is the first byte of a close frame (RFC 6455, 5.5.1).
const closeByte = 0x88

// Write implements net.Conn, for the library: one control frame a call.
func (c *rawConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.writeRest(); err != nil {
		return 0, err
	}
	if len(p) > 0 && p[0] == closeByte {
		c.closeSent = true
	}
	n, err := c.writeConn(p)
	c.countSent(n)
	return n, err
}

// tryClose writes a close frame if the socket takes it at once: a room's lock may be held, and
// nobody waits for a slow client.
func (c *rawConn) tryClose(code int, reason string) {
	if c.fd == nil || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.closeSent || len(c.rest) > 0 {
		return
	}
	c.closeSent = true
	last := tryWrite{buf: closeMessage(code, reason)}
	_ = c.fd.Write(last.write)
}

// sendClose writes a close frame, unless something is being written: then the client has not read for a
// while.
func (c *rawConn) sendClose(code int, reason string) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.writeRest() == nil && !c.closeSent {
		c.closeSent = true
		_, _ = c.writeConn(closeMessage(code, reason))
	}
}

// closeMessage returns a close frame (RFC 6455, 5.5.1).
func closeMessage(code int, reason string) []byte {
	return append([]byte{closeByte, byte(2 + len(reason)), byte(code >> 8), byte(code)}, reason...)
}

// buffers returns what is on the wire of frames, from skip bytes on.
func buffers(frames []*engineio.Frame, skip int) net.Buffers {
	bufs := make(net.Buffers, 0, len(frames))
	for _, f := range frames {
		b := f.Wire()
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		bufs = append(bufs, b[skip:])
		skip = 0
	}
	return bufs
}

func sizeOf(frames []*engineio.Frame) (n int) {
	for _, f := range frames {
		n += f.Size()
	}
	return n
}
