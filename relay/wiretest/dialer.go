package wiretest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"setu/relay/engineio"
)

// path is where the server under test is mounted.
const path = "/socket.io/"

// Dialer makes clients of the server under test.
type Dialer struct {
	T   testing.TB
	New func() net.Conn
}

// Dial opens a connection and sends nothing.
func (d *Dialer) Dial() net.Conn {
	c := d.New()
	d.T.Cleanup(func() { _ = c.Close() })
	return c
}

// Open makes a client over WebSocket that has read nothing yet.
func (d *Dialer) Open() *Peer {
	d.T.Helper()
	return Upgrade(d.T, d.Dial())
}

// Client makes an HTTP client whose connections stay open between requests, as a browser's do.
func (d *Dialer) Client(t testing.TB) *http.Client {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return d.New(), nil }}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Poll opens a session by long polling.
func (d *Dialer) Poll() *Poller {
	d.T.Helper()
	p := &Poller{T: d.T, Web: d.Client(d.T)}
	got := p.Get()
	h, err := engineio.ParseHandshake([]byte(strings.TrimPrefix(got.Body, "0")))
	if got.Err != nil || got.Status != http.StatusOK || err != nil {
		d.T.Fatalf("no handshake but %d %q: %v, %v", got.Status, got.Body, got.Err, err)
	}
	p.SID = h.SID
	return p
}

// Probe opens the WebSocket to which a session is to be upgraded, and asks by it.
func (d *Dialer) Probe(p *Poller) *Peer {
	d.T.Helper()
	k := UpgradeTo(d.T, d.Dial(), p.SID)
	k.Text("2probe")
	k.Expect("3probe")
	return k
}

// Request asks over HTTP, on a connection of its own.
func (d *Dialer) Request(method, target string, header http.Header) (status int, body string) {
	d.T.Helper()
	client := http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return d.New(), nil },
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(method, "http://relay"+target, nil)
	if err != nil {
		d.T.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := client.Do(req)
	if err != nil {
		d.T.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		d.T.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// Pipes is a listener whose connections are net.Pipes, for tests with a fake clock.
type Pipes struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

// NewPipes returns a listener.
func NewPipes() *Pipes { return &Pipes{incoming: make(chan net.Conn), closed: make(chan struct{})} }

// Dial opens a connection.
func (l *Pipes) Dial() net.Conn {
	ours, theirs := net.Pipe()
	select {
	case l.incoming <- theirs:
	case <-l.closed: // net/http opens connections that nobody waits for any more
		_ = theirs.Close()
	}
	return ours
}

// Accept implements net.Listener.
func (l *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Pipes) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Addr implements net.Listener.
func (l *Pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// ListenTCP makes a listener on loopback, and what dials it.
func ListenTCP(t testing.TB) (net.Listener, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// Log is a log that a test can read.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Has reports whether the log holds s.
func (l *Log) Has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

// String returns the log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
