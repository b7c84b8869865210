package engine

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"setu/relay/engineio"
	"setu/relay/metrics"
	"setu/relay/socket"
)

// rawConn is the connection under a WebSocket. The WebSocket library reads from it and writes
// control frames to it, each in one Write; shared frames go out beside the library. All that is
// written is in write.go.
type rawConn struct {
	net.Conn
	fd      syscall.RawConn       // nil if the connection has no descriptor
	fill    func(fd uintptr) bool // tryFill; made once
	metrics *metrics.Metrics      // nil: nothing is counted
	t       *webSocketTransport   // told of what comes, and of the end; nil: nobody is

	readMu sync.Mutex  // guards what follows; held while something is waited for
	unread []byte      // what was read ahead: by net/http, or into ahead
	ahead  *readBuffer // nil if unread is not in one
	shed   bool        // nothing more is to be read: the session has said so, or was told of a flood
	tally  tally

	mu        sync.Mutex  // guards what follows; held while whole frames are written
	rest      net.Buffers // of a write that did not wait: it goes out before anything else
	closeSent bool        // a close frame went out: nothing may follow it
}

func newRawConn(c net.Conn, unread []byte) *rawConn {
	conn := &rawConn{Conn: c, fd: socket.Of(c), unread: unread}
	conn.fill = conn.tryFill
	return conn
}

// Read implements net.Conn, for the library. Its buffer is the smallest there is and gets a byte at a time,
// so that nothing is in there when a message has been read: what has come is in unread, or still in the
// socket.
func (c *rawConn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if len(c.unread) == 0 && !c.shed && c.t != nil {
		c.t.awaitRead()
	}
	if len(c.unread) == 0 && c.fd != nil && len(p) <= libraryBuffer {
		c.readAhead()
	}
	if len(c.unread) == 0 && !c.shed {
		n, err := c.readConn(p)
		c.noteReceived(p[:n])
		if !c.shed {
			return n, err
		}
	}
	if c.shed {
		<-time.After(flushTimeout + shedTimeout) // by then the connection has been closed, with what is to be told
		return 0, net.ErrClosed
	}
	if len(p) <= libraryBuffer {
		p = p[:min(len(p), 1)]
	}
	return c.takeUnread(p), nil
}

// Close implements net.Conn.
func (c *rawConn) Close() error {
	err := c.Conn.Close()
	if c.t != nil {
		c.t.onClosed()
	}
	return err
}

// takeUnread takes from what was read ahead. c.readMu is held.
func (c *rawConn) takeUnread(p []byte) int {
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.dropUnread()
	}
	return n
}

func (c *rawConn) dropUnread() {
	if c.ahead != nil {
		readBuffers.Put(c.ahead)
	}
	c.unread, c.ahead = nil, nil
}

// hasUnread reports whether something was read ahead, or may be: while a close reads, nobody waits for it here.
func (c *rawConn) hasUnread() bool {
	if !c.readMu.TryLock() {
		return true
	}
	defer c.readMu.Unlock()
	return len(c.unread) > 0
}

// readAhead waits for what comes, and reads it into unread. Of an error the next Read tells. c.readMu is held.
func (c *rawConn) readAhead() { _ = c.fd.Read(c.fill) }

// tryFill reads what has come. It reports false if nothing has, and is to be waited for. c.readMu is held.
func (c *rawConn) tryFill(fd uintptr) bool {
	b := readBuffers.Get().(*readBuffer)
	n, wait := socket.TryRead(fd, b[:])
	if n <= 0 {
		readBuffers.Put(b)
		return !wait
	}
	c.unread, c.ahead = b[:n], b
	c.noteReceived(b[:n])
	return true
}

// readMore reads on, though what was read ahead has not been taken yet: in the socket, small packets take many times
// their size, so that it would not take in more of a flood than could be anybody's. c.readMu is held.
func (c *rawConn) readMore() {
	if len(c.unread) > mostAhead-aheadBytes {
		return
	}
	b := make([]byte, mostAhead)
	had, n := copy(b, c.unread), 0
	if c.fd.Control(func(fd uintptr) { n, _ = socket.TryRead(fd, b[had:]) }) != nil || n <= 0 {
		return
	}
	c.dropUnread()
	c.unread = b[:had+n]
	c.noteReceived(b[had : had+n])
}

// awaitClose reads past what comes, until a close frame or the read deadline, and closes the connection. Of a client
// that goes on past mostAhead all the same no more is read: then its socket takes no more, and each small packet that
// comes costs as much here as reading it. It has a while to see why.
func (c *rawConn) awaitClose() {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.dropUnread()
	b := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(b)
	var err error
	for came, n := 0, 0; err == nil && !c.shed && !c.tally.closed; came += n {
		if came >= mostAhead {
			c.shed = true
			break
		}
		if c.t != nil {
			c.t.awaitRead()
		}
		n, err = c.readConn(b[:])
		c.noteReceived(b[:n])
	}
	if c.shed {
		<-time.After(shedTimeout)
	}
	_ = c.Close()
}

// noteReceived counts what has come. If nothing more is to be read, it is forgotten. c.readMu is held.
func (c *rawConn) noteReceived(b []byte) {
	c.countReceived(len(b))
	if c.t != nil && !c.t.received(len(b)) {
		c.shed = true
		c.dropUnread()
		return
	}
	c.tally.read(b)
	c.judge()
}

// judge ends the reading if more has come than may. c.readMu is held.
func (c *rawConn) judge() {
	if c.t != nil && c.tally.fragments > 0 {
		c.t.s.spend(time.Duration(c.tally.fragments) * framePrice)
	}
	c.tally.fragments = 0
	if c.t != nil && !c.shed && c.tally.isFlood() {
		c.shed = true
		c.dropUnread()
		c.t.s.shedFlood()
	}
}

// readConn and writeConn are the connection's own Read and Write.

func (c *rawConn) readConn(p []byte) (int, error) {
	if c.fd != nil {
		return socket.Read(c.fd, p)
	}
	return c.Conn.Read(p)
}

func (c *rawConn) writeConn(p []byte) (int, error) {
	if c.fd != nil {
		return socket.Write(c.fd, p)
	}
	return c.Conn.Write(p)
}

// Buffers of a WebSocket: net/http's own are 4 KB each. The library writes control frames alone, of
// at most 127 bytes, so each is one Write. It reads from a buffer that a connection has as long as something
// is in it.
const (
	aheadBytes    = 4 << 10
	mostAhead     = 16 << 10 // while its address waits
	libraryBuffer = 16
	writeBuffer   = 128
)

type readBuffer [aheadBytes]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// hijacker lets the WebSocket library take the connection with small buffers, and keeps hold of it.
// It keeps the library's answer to the handshake back, so that it goes out together with the first
// frame, in one write.
type hijacker struct {
	http.ResponseWriter
	t    *webSocketTransport // whose connection it is to be
	conn *rawConn
}

// WriteHeader implements http.ResponseWriter.
func (h *hijacker) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		h.ResponseWriter.WriteHeader(status)
	}
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ahead, _ := rw.Reader.Peek(rw.Reader.Buffered())
	h.conn = newRawConn(c, append([]byte(nil), ahead...))
	h.conn.t, h.conn.metrics = h.t, h.t.srv.cfg.Metrics
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, libraryBuffer), bufio.NewWriterSize(h.conn, writeBuffer)), nil
}

// answer completes the handshake (RFC 6455, 4.2.2) and sends the first frame, if there is one.
func (h *hijacker) answer(first *engineio.Frame) error {
	buffer := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(buffer)
	b := bytes.NewBuffer(buffer[:0])
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Header().Write(b) // a buffer takes all
	b.WriteString("\r\n")
	if first != nil {
		b.Write(first.Wire())
	}
	_ = h.conn.SetWriteDeadline(time.Now().Add(flushTimeout)) // no heartbeat watches yet over a client that reads nothing
	if _, err := h.conn.Write(b.Bytes()); err != nil {
		return err
	}
	return h.conn.SetWriteDeadline(time.Time{})
}
