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
)

// rawConn is the connection under a WebSocket. The WebSocket library reads from it and writes
// control frames to it, each in one Write; shared frames go out beside the library. All that is
// written is in write.go.
type rawConn struct {
	net.Conn
	fd       syscall.RawConn       // nil if the connection has no descriptor
	unread   []byte                // what net/http had read ahead; owned by the reader
	metrics  *metrics.Metrics      // nil: nothing is counted
	received func(n int) (ok bool) // told of what was read, and says whether to go on; nil: nobody. Set before anything is read

	mu        sync.Mutex  // guards what follows; held while whole frames are written
	rest      net.Buffers // of a write that did not wait: it goes out before anything else
	closeSent bool        // a close frame went out: nothing may follow it
}

func newRawConn(c net.Conn, unread []byte) *rawConn {
	conn := &rawConn{Conn: c, unread: unread}
	if sc, ok := c.(syscall.Conn); ok {
		if fd, err := sc.SyscallConn(); err == nil {
			conn.fd = fd
		}
	}
	return conn
}

// Read implements net.Conn.
func (c *rawConn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if c.received != nil && !c.received(n) {
		<-time.After(flushTimeout + shedTimeout) // by then the connection has been closed, with what is to be told
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *rawConn) read(p []byte) (int, error) {
	if len(c.unread) > 0 {
		n := copy(p, c.unread)
		if c.unread = c.unread[n:]; len(c.unread) == 0 {
			c.unread = nil
		}
		c.countReceived(n)
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.countReceived(n)
	return n, err
}

// Buffers of a WebSocket: net/http's own are 4 KB each. The library writes control frames alone, of
// at most 127 bytes, so each is one Write.
const (
	readBuffer  = 512
	writeBuffer = 128
)

// hijacker lets the WebSocket library take the connection with small buffers, and keeps hold of it.
// It keeps the library's answer to the handshake back, so that it goes out together with the first
// frame, in one write.
type hijacker struct {
	http.ResponseWriter
	metrics *metrics.Metrics
	conn    *rawConn
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
	h.conn.metrics = h.metrics
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, readBuffer), bufio.NewWriterSize(h.conn, writeBuffer)), nil
}

// answer completes the handshake (RFC 6455, 4.2.2) and sends the first frame, if there is one.
func (h *hijacker) answer(first *engineio.Frame) error {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Header().Write(&b) // a buffer takes all
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
