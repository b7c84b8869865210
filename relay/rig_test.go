package relay

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
	"setu/relay/handshake"
	"setu/relay/wiretest"
)

// patience is how long a test waits for what must happen, however busy the machine is.
const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a relay under test, over pipes or TCP.
type rig struct {
	wiretest.Dialer
	cfg    Config
	srv    *Server
	broker broker.Broker
	log    *wiretest.Log
	web    *http.Server
	served sync.WaitGroup

	underWay atomic.Int64 // requests that are being served
}

// settings returns the defaults, but for pairs of name=value.
func settings(t testing.TB, pairs ...string) Config {
	t.Helper()
	cfg, err := LoadConfig(append([]string{"RELAY_ID=relay-1", "REGION=here"}, pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// overPipes runs a test in a bubble with a fake clock, against a relay whose connections are pipes.
func overPipes(t *testing.T, test func(t *testing.T, r *rig), pairs ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, nil, pairs...)
		defer func() {
			r.close()
			<-time.After(time.Second) // net/http lingers for half of that after it has refused a body
		}()
		test(t, r)
	})
}

// overTCP makes a relay on loopback.
func overTCP(t testing.TB, pairs ...string) *rig {
	t.Helper()
	l, dial := wiretest.ListenTCP(t)
	r := newRig(t, l, dial, nil, pairs...)
	t.Cleanup(r.close)
	return r
}

// newRig makes a relay over b, or over a broker of its own.
func newRig(t testing.TB, l net.Listener, dial func() net.Conn, b broker.Broker, pairs ...string) *rig {
	t.Helper()
	cfg := settings(t, pairs...)
	r := &rig{Dialer: wiretest.Dialer{T: t, New: dial}, cfg: cfg, log: &wiretest.Log{}, broker: b}
	if b == nil {
		r.broker = broker.NewMemory(cfg.Limits())
	}
	var err error
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if r.srv, err = New(cfg, r.broker, log); err != nil {
		t.Fatal(err)
	}
	counted := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.underWay.Add(1)
		defer r.underWay.Add(-1)
		r.srv.ServeHTTP(w, req)
	})
	r.web = &http.Server{Handler: counted, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	r.served.Go(func() { _ = r.web.Serve(handshake.Listen(l, r.web, Path, counted)) })
	return r
}

// close ends the relay, and its clients if they are still there: after it, no goroutine of theirs
// is left.
func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_ = r.srv.Shutdown(ctx)
	_ = r.web.Close()
	r.served.Wait()
	_ = r.broker.Close(context.Background())
}

// guest makes a connected client.
func (r *rig) guest(name string) *wiretest.Peer {
	r.T.Helper()
	p := r.Open()
	p.Connect(`{"name":"` + name + `"}`)
	return p
}

// member makes a connected client that is in a room.
func (r *rig) member(name, room string) *wiretest.Peer {
	r.T.Helper()
	p := r.guest(name)
	if ack := p.Call("join", `{"room":"`+room+`"}`); wiretest.Field(r.T, ack, "ok") != "true" {
		r.T.Fatal("join: ", ack)
	}
	return p
}

// pollingGuest makes a client by long polling that is connected to "/".
func (r *rig) pollingGuest(name string) *wiretest.Poller {
	r.T.Helper()
	p := r.Poll()
	p.Say(`40{"name":"` + name + `"}`)
	if s := p.Packet(); !strings.HasPrefix(s, `40{"sid":"`) {
		r.T.Fatal("no CONNECT but ", s)
	}
	if s := p.Packet(); !strings.HasPrefix(s, `42["welcome",{`) {
		r.T.Fatal("no welcome but ", s)
	}
	return p
}

// pollingMember makes a client by long polling that is in a room.
func (r *rig) pollingMember(name, room string) *wiretest.Poller {
	r.T.Helper()
	p := r.pollingGuest(name)
	if ack := p.Call("join", `{"room":"`+room+`"}`); wiretest.Field(r.T, ack, "ok") != "true" {
		r.T.Fatal("join: ", ack)
	}
	return p
}

// awaitGone waits until the relay has no session.
func awaitGone(t testing.TB, r *rig) {
	t.Helper()
	for end := time.Now().Add(patience); r.srv.engine.Count() > 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a session stays")
		}
	}
}
