package relay

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// guard returns a relay, what it lets through of a listener on loopback, and what dials that.
func guard(t *testing.T, settings ...string) (*Server, net.Listener, func() net.Conn) {
	t.Helper()
	srv := guarding(t, settings...)
	l, dial := wiretest.ListenTCP(t)
	t.Cleanup(func() { _ = l.Close() })
	return srv, srv.Guard(l), dial
}

// guarding returns a relay.
func guarding(t *testing.T, settings ...string) *Server {
	t.Helper()
	cfg, err := LoadConfig(settings)
	if err != nil {
		t.Fatal(err)
	}
	b := broker.NewMemory(cfg.Limits())
	srv, err := New(cfg, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = srv.Shutdown(t.Context()), b.Close(t.Context()) })
	return srv
}

// taken reports whether a connection that is dialed comes through, and not another one that is dialed after it.
func taken(t *testing.T, l net.Listener, dial, last func() net.Conn) bool {
	t.Helper()
	c := dial()
	t.Cleanup(func() { _ = c.Close() })
	if last != nil {
		k := last()
		t.Cleanup(func() { _ = k.Close() })
	}
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = got.Close() })
	return got.RemoteAddr().String() == c.LocalAddr().String()
}

var loopback = netip.MustParseAddr("127.0.0.1")

// from dials from another address of loopback.
func from(t *testing.T, l net.Listener, at string) func() net.Conn {
	return func() net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(at)}}
		c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// Connections of an address that opens too many, or owes too much, are closed as they come; others' are not.
func TestGuard(t *testing.T) {
	for name, test := range map[string]struct {
		settings []string
		before   func(srv *Server)
		takes    int // before one is closed
		counted  metrics.Limit
	}{
		"too many":       {[]string{"HANDSHAKE_RATE=1/h:1"}, nil, filesPerPage, metrics.LimitAddressHandshakes},
		"too much":       {nil, func(srv *Server) { srv.engine.Spend(loopback, time.Hour) }, 0, metrics.LimitTurns},
		"much, not more": {[]string{"HANDSHAKE_RATE=1/h:1"}, func(srv *Server) { srv.engine.Spend(loopback, mostOwed/8) }, filesPerPage, metrics.LimitAddressHandshakes},
		"shut out": {[]string{"HANDSHAKE_RATE=1/h:10"}, func(srv *Server) { srv.engine.Charge(loopback, 10); srv.engine.Charge(loopback, 10) }, 0,
			metrics.LimitAddressHandshakes},
		"nothing asked": {[]string{"MAX_ADDRESS_CONNECTIONS=3"}, func(srv *Server) {
			for range 3 {
				srv.front.idle.Add(loopback)
			}
		}, 0, metrics.LimitAddressConnections},
	} {
		t.Run(name, func(t *testing.T) {
			srv, l, dial := guard(t, test.settings...)
			if test.before != nil {
				test.before(srv)
			}
			began, owed := time.Now(), srv.engine.Owes(loopback)
			for i := range test.takes {
				if !taken(t, l, dial, nil) {
					t.Fatal("not taken, though it is number ", i)
				}
			}
			if owed > 0 && test.takes > 0 { // what is owed grows less as time passes
				if now := srv.engine.Owes(loopback); now+time.Since(began) < owed+time.Duration(test.takes)*acceptPrice {
					t.Errorf("%d connections cost nothing: %v owed, then %v", test.takes, owed, now)
				}
			}
			if taken(t, l, dial, from(t, l, "127.0.0.2")) {
				t.Error("taken")
			}
			series := fmt.Sprintf("setu_refusals_total{limit=%q}", test.counted)
			if n := wiretest.Series(t, srv.Metrics().Handler())[series]; n != 1 {
				t.Errorf("%s is %v", series, n)
			}
		})
	}
}

// queue is a listener with so many connections of loopback's, and then one of another address.
type queue struct {
	net.Listener
	left int
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	q.left--
	if q.left >= 0 {
		return &queued{at: net.TCPAddr{IP: loopback.AsSlice()}}, nil
	}
	return &queued{at: net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}, nil
}

type queued struct {
	net.Conn
	at net.TCPAddr
}

// RemoteAddr and Close are net.Conn's.
func (c *queued) RemoteAddr() net.Addr { return &c.at }
func (c *queued) Close() error         { return nil }

// While connections are closed, others have their turn now and then.
func TestGuardRests(t *testing.T) {
	for queued, rests := range map[int]int{0: 0, closedAtOnce - 1: 0, closedAtOnce: 1, 100*closedAtOnce + 1: 100} {
		synctest.Test(t, func(t *testing.T) {
			srv := guarding(t)
			srv.engine.Spend(loopback, time.Hour)
			start := time.Now()
			if c, err := srv.Guard(&queue{left: queued}).Accept(); err != nil || c.RemoteAddr().String() != "192.0.2.1:0" {
				t.Error(c.RemoteAddr(), err)
			}
			if took := time.Since(start); took != time.Duration(rests)*closingRest {
				t.Errorf("%d are closed in %s", queued, took)
			}
		})
	}
}

// A proxy's connections are all taken, and so is everybody's without a bound.
func TestGuardTakesAll(t *testing.T) {
	for _, setting := range []string{"TRUSTED_PROXIES=127.0.0.1", "MAX_ADDRESS_CONNECTIONS=0"} {
		srv, l, dial := guard(t, setting, "HANDSHAKE_RATE=1/h:1")
		srv.engine.Spend(loopback, time.Hour)
		for range 2 * filesPerPage {
			if !taken(t, l, dial, nil) {
				t.Fatal("not taken, with ", setting)
			}
		}
	}
}

// A connection waits before it is read while its address owes; a proxy's does not.
func TestConnectionsWait(t *testing.T) {
	for setting, least := range map[string]time.Duration{"TRUSTED_PROXIES=192.0.2.1": time.Second, "TRUSTED_PROXIES=127.0.0.1": 0} {
		srv, l, dial := guard(t, setting)
		_ = dial()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		srv.engine.Spend(loopback, time.Hour)
		began := time.Now()
		srv.AwaitConnection(c)
		_ = c.Close()
		if took := time.Since(began); took < least || least == 0 && took > 500*time.Millisecond {
			t.Errorf("with %s it waits for %s", setting, took)
		}
	}
}
