// Package handshake serves the handshakes of WebSockets past net/http, which does a lot for a connection
// that it is about to give away. A handshake that comes whole, in one read, and is nothing out of the
// ordinary is answered here; every other connection goes to an http.Server, with what was read of it.
package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"

	"setu/relay/pool"
)

// Listener accepts connections, keeps handshakes and returns the others from Accept.
type Listener struct {
	net.Listener

	// immutable
	web     *http.Server                   // whose ReadHeaderTimeout and ErrorLog hold here, too
	counted func(net.Conn, http.ConnState) // web's ConnState, or nil
	path    []byte                         // "GET ", and where WebSockets are
	handler http.Handler
	turn    func(net.Conn) // waits before something is read of a connection; nil: nothing does
	others  chan accepted
	done    chan struct{}
	begun   sync.Once
	pool    pool.Pool

	mu     sync.Mutex // guards what follows
	closed bool
	silent map[net.Conn]struct{} // nothing has been read of them yet
}

type accepted struct {
	conn net.Conn
	err  error
}

// Listen returns l for web.Serve, with which it begins. Handshakes at path are served by handler. web is as
// it is to be, and its ConnState hears of connections that web itself never sees.
func Listen(l net.Listener, web *http.Server, path string, handler http.Handler) *Listener {
	return &Listener{Listener: l, web: web, counted: web.ConnState, path: []byte("GET " + path), handler: handler,
		others: make(chan accepted), done: make(chan struct{}), silent: map[net.Conn]struct{}{}}
}

// InTurn has connections wait before anything is read of them. It is called before Accept, and returns l.
func (l *Listener) InTurn(await func(net.Conn)) *Listener {
	l.turn = await
	return l
}

// run accepts until the listener is closed. Errors are for the server to judge.
func (l *Listener) run() {
	defer l.pool.Close()
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			l.pool.Go(func() { l.serve(c) })
		} else if !l.pass(accepted{nil, err}) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// pass has Accept return a. It reports false if the listener is closed: nobody takes it then.
func (l *Listener) pass(a accepted) bool {
	select {
	case l.others <- a:
		return true
	case <-l.done:
		return false
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.begun.Do(func() { go l.run() })
	select {
	case a := <-l.others:
		return a.conn, a.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that have sent nothing are closed with it.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	for c := range l.silent {
		_ = c.Close()
	}
	return l.Listener.Close()
}

// firstRead is how many bytes of a connection are looked at, and buffers those in which they are.
const firstRead = 4 << 10

var buffers = sync.Pool{New: func() any { return new([firstRead]byte) }}

// serve reads once, and decides whose the connection is.
func (l *Listener) serve(c net.Conn) {
	l.state(c, http.StateNew)
	if l.turn != nil {
		l.turn(c)
	}
	buf := buffers.Get().(*[firstRead]byte)
	defer buffers.Put(buf)
	n, err := l.read(c, buf[:])
	if err != nil {
		_ = c.Close()
		l.state(c, http.StateClosed)
		return
	}
	if r := l.parse(buf[:n]); r != nil {
		r.RemoteAddr = c.RemoteAddr().String()
		l.answer(c, r)
		return
	}
	l.giveAway(c, bytes.Clone(buf[:n]))
}

// read reads what comes first, within the time that a server gives a request's headers.
func (l *Listener) read(c net.Conn, buf []byte) (n int, err error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return 0, net.ErrClosed
	}
	l.silent[c] = struct{}{}
	l.mu.Unlock()
	if d := l.web.ReadHeaderTimeout; d > 0 {
		_ = c.SetReadDeadline(time.Now().Add(d))
	}
	n, err = c.Read(buf)
	l.mu.Lock()
	delete(l.silent, c)
	l.mu.Unlock()
	return n, err
}

var (
	end   = []byte("\r\n\r\n")
	asked = []byte("websocket") // by the query, and by the header, whatever its case
)

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, firstRead) }}

// parse returns the handshake that b is, or nil: a server is to say what it is then.
func (l *Listener) parse(b []byte) *http.Request {
	line, _, _ := bytes.Cut(b, end[:2])
	if !bytes.HasPrefix(line, l.path) || !bytes.Contains(line, asked) || bytes.Index(b, end) != len(b)-len(end) || !isPlain(b) {
		return nil
	}
	in := readers.Get().(*bufio.Reader)
	defer readers.Put(in)
	in.Reset(bytes.NewReader(b))
	r, err := http.ReadRequest(in)
	if err != nil || r.Proto != "HTTP/1.1" || r.Host == "" || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || !isValid(r) ||
		!strings.EqualFold(r.Header.Get("Upgrade"), string(asked)) {
		return nil
	}
	r.Body = http.NoBody // it was bound to what is read next into the buffer
	return r
}

// isValid reports whether a server would take r's headers, which http.ReadRequest does not judge.
func isValid(r *http.Request) bool {
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return false
		}
	}
	return httpguts.ValidHostHeader(r.Host)
}

// isPlain reports whether b has nothing in it but printable ASCII and ends of lines.
func isPlain(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// answer serves a handshake. If the connection did not become a WebSocket, the server goes on with it.
func (l *Listener) answer(c net.Conn, r *http.Request) {
	l.state(c, http.StateActive)
	w := &response{conn: c, hijacked: func() { l.state(c, http.StateHijacked) }}
	defer func() {
		if fault := recover(); fault != nil {
			if fault != http.ErrAbortHandler && l.web.ErrorLog != nil {
				l.web.ErrorLog.Printf("http: panic serving %v: %v\n%s", r.RemoteAddr, fault, debug.Stack())
			}
			_ = c.Close()
			l.state(c, http.StateClosed)
		}
	}()
	l.handler.ServeHTTP(w, r)
	switch {
	case w.taken:
	case w.finish() == nil && w.header.Get("Connection") != "close":
		l.giveAway(c, nil)
	default:
		hangUp(c)
		l.state(c, http.StateClosed)
	}
}

// lingerTime is how long a client may take to read an answer before its connection is closed: what it has
// sent meanwhile would have the answer thrown away.
const lingerTime = 500 * time.Millisecond

type closeWriter interface{ CloseWrite() error }

func hangUp(c net.Conn) {
	if half, ok := c.(closeWriter); ok && half.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		var some [512]byte
		for n, err := 0, error(nil); err == nil && n < 1<<16; {
			var more int
			more, err = c.Read(some[:])
			n += more
		}
	}
	_ = c.Close()
}

// giveAway has the server serve a connection of which this was read.
func (l *Listener) giveAway(c net.Conn, read []byte) {
	_ = c.SetDeadline(time.Time{})
	l.state(c, http.StateHijacked) // the server counts it anew
	if !l.pass(accepted{conn: &conn{Conn: c, ahead: read}}) {
		_ = c.Close()
	}
}

func (l *Listener) state(c net.Conn, s http.ConnState) {
	if l.counted != nil {
		l.counted(c, s)
	}
}

// conn is a connection of which something has been read already.
type conn struct {
	net.Conn
	ahead []byte // owned by the reader
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// CloseWrite is for net/http, which has the last answer read before it closes a connection.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(closeWriter); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn implements syscall.Conn. It fails as long as something of what has been read is to come.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if len(c.ahead) > 0 {
		return nil, errors.ErrUnsupported
	}
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
