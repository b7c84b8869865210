package relay

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a relay under test, over pipes or TCP.
type rig struct {
	t      testing.TB
	srv    *Server
	broker broker.Broker
	log    *logBook
	web    *http.Server
	dialer func() net.Conn
	served sync.WaitGroup
}

// logBook is a log that a test can read.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

// settings are the defaults, but for pairs of name=value.
func settings(t testing.TB, pairs ...string) Config {
	t.Helper()
	cfg, err := LoadConfig(append([]string{"RELAY_ID=relay-1", "REGION=here"}, pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// pipes is a listener whose connections are net.Pipes.
type pipes struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// overPipes runs a test in a bubble with a fake clock, against a relay whose connections are pipes.
func overPipes(t *testing.T, test func(t *testing.T, r *rig), pairs ...string) {
	t.Helper()
	engineOverPipes(t, nil, test, pairs...)
}

func engineOverPipes(t *testing.T, open func(*Session) Handler, test func(t *testing.T, r *rig), pairs ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{incoming: make(chan net.Conn), closed: make(chan struct{})}
		r := newEngineRig(t, l, nil, open, pairs...)
		r.dialer = func() net.Conn {
			ours, theirs := net.Pipe()
			l.incoming <- theirs
			return ours
		}
		defer func() {
			r.close()
			<-time.After(time.Second) // net/http lingers for half of that where it has refused a body
		}()
		test(t, r)
	})
}

// overTCP makes a relay on loopback.
func overTCP(t testing.TB, pairs ...string) *rig {
	t.Helper()
	return engineOverTCP(t, nil, pairs...)
}

func engineOverTCP(t testing.TB, open func(*Session) Handler, pairs ...string) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newEngineRig(t, l, nil, open, pairs...)
	r.dialer = func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Cleanup(r.close)
	return r
}

func newRig(t testing.TB, l net.Listener, b broker.Broker, pairs ...string) *rig {
	t.Helper()
	return newEngineRig(t, l, b, nil, pairs...)
}

// newEngineRig has the engine speak to what open makes, if that is given, and not to the chat.
func newEngineRig(t testing.TB, l net.Listener, b broker.Broker, open func(*Session) Handler, pairs ...string) *rig {
	t.Helper()
	cfg := settings(t, pairs...)
	r := &rig{t: t, log: &logBook{}, broker: b}
	if b == nil {
		r.broker = broker.NewMemory(cfg.Limits())
	}
	var err error
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if r.srv, err = New(cfg, r.broker, log); err != nil {
		t.Fatal(err)
	}
	handler := http.Handler(r.srv)
	if open != nil {
		_, _ = r.srv.Engine.Shutdown(context.Background())
		r.srv.Engine = NewEngine(cfg, log, open)
		handler = r.srv.Engine
	}
	r.web = &http.Server{Handler: handler, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	r.served.Go(func() { _ = r.web.Serve(l) })
	return r
}

// close ends the relay, and its clients where they are still there: after it, no goroutine of theirs is left.
func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_ = r.srv.Shutdown(ctx)
	_ = r.web.Close()
	r.served.Wait()
	_ = r.broker.Close(context.Background())
}

// dial opens a connection and sends nothing.
func (r *rig) dial() net.Conn {
	c := r.dialer()
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// open makes a client that has a session and is not connected to "/" yet.
func (r *rig) open() *peer {
	r.t.Helper()
	return upgrade(r.t, r.dial())
}

// guest makes a connected client.
func (r *rig) guest(name string) *peer {
	r.t.Helper()
	p := r.open()
	p.connect(`{"name":"` + name + `"}`)
	return p
}

// member makes a connected client that is in a room.
func (r *rig) member(name, room string) *peer {
	r.t.Helper()
	p := r.guest(name)
	if ack := p.call("join", `{"room":"`+room+`"}`); field(r.t, ack, "ok") != "true" {
		r.t.Fatal("join: ", ack)
	}
	return p
}

// get asks over HTTP.
func (r *rig) get(method, target string, header http.Header) (status int, body string) {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return r.dialer(), nil },
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(method, "http://relay"+target, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// socketOf waits for a session's door: its client may have the handshake's answer a moment before.
func socketOf(s *Session) *socket {
	for {
		s.mu.Lock()
		d := s.door
		s.mu.Unlock()
		if d != nil {
			return d.(*socket)
		}
		runtime.Gosched()
	}
}
