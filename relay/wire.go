package relay

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"setu/relay/engineio"
)

// wire is the connection under a WebSocket. The WebSocket library reads from it and writes control frames to it, each in
// one Write; shared frames go out beside the library. Both take mu for as long as whole frames need.
type wire struct {
	net.Conn
	raw    syscall.RawConn // nil where the connection has no descriptor
	unread []byte          // what net/http had read ahead; owned by the reader

	mu   sync.Mutex
	over bool // a close frame went out: nothing may follow it. Guarded by mu
}

// finClose is the first byte of a close frame.
const finClose = 0x88

func newWire(c net.Conn, unread []byte) *wire {
	w := &wire{Conn: c, unread: unread}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	return w
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.unread) > 0 {
		n := copy(p, w.unread)
		if w.unread = w.unread[n:]; len(w.unread) == 0 {
			w.unread = nil
		}
		return n, nil
	}
	return w.Conn.Read(p)
}

// Write implements net.Conn, for the library: one control frame a call.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(p) > 0 && p[0] == finClose {
		w.over = true
	}
	return w.Conn.Write(p)
}

// Buffers of a WebSocket: net/http's own are 4 KB each. The library writes control frames alone, at most 127 bytes, so each
// is one Write.
const (
	readBuffer  = 512
	writeBuffer = 128
)

// hijacker lets the WebSocket library take the connection with small buffers, and keeps hold of it. It keeps the library's
// answer to the handshake back, so that it goes out together with the first frame, in one write.
type hijacker struct {
	http.ResponseWriter
	wire *wire
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
	h.wire = newWire(c, append([]byte(nil), ahead...))
	return h.wire, bufio.NewReadWriter(bufio.NewReaderSize(h.wire, readBuffer), bufio.NewWriterSize(h.wire, writeBuffer)), nil
}

// answer completes the handshake (RFC 6455, 4.2.2) and sends the first frame, where there is one.
func (h *hijacker) answer(first *engineio.Frame) error {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Header().Write(&b) // a buffer takes all
	b.WriteString("\r\n")
	if first != nil {
		b.Write(first.Wire())
	}
	_ = h.wire.SetWriteDeadline(time.Now().Add(flushPause)) // no heartbeat watches yet over who reads nothing
	if _, err := h.wire.Write(b.Bytes()); err != nil {
		return err
	}
	return h.wire.SetWriteDeadline(time.Time{})
}

// push writes frames, blocking, from skip bytes into the first on. w.mu is held by the caller.
func (w *wire) push(frames []*engineio.Frame, skip int) error {
	if w.over {
		return nil
	}
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
	_, err := bufs.WriteTo(w.Conn)
	return err
}

func sizeOf(frames []*engineio.Frame) (n int) {
	for _, f := range frames {
		n += f.Size()
	}
	return n
}
