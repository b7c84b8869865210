package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// path is the path at which the engine under test is mounted.
const path = "/socket.io/"

// rig is an engine under test, over pipes or TCP.
type rig struct {
	wiretest.Dialer
	srv    *Server
	log    *wiretest.Log
	web    *http.Server
	served sync.WaitGroup
}

// settings returns the defaults, but for pairs of name=value as the environment has them.
func settings(t testing.TB, pairs ...string) (cfg Config) {
	t.Helper()
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		number, notNumber := strconv.Atoi(value)
		duration, notDuration := time.ParseDuration(value)
		switch {
		case name == "PING_INTERVAL" && notDuration == nil:
			cfg.PingInterval = duration
		case name == "PING_TIMEOUT" && notDuration == nil:
			cfg.PingTimeout = duration
		case name == "MAX_PAYLOAD" && notNumber == nil:
			cfg.MaxPayload = number
		case name == "COMPRESSION" && notNumber == nil:
			cfg.Compression = number
		case name == "OUTBOX_BYTES" && notNumber == nil:
			cfg.OutboxBytes = number
		case name == "MAX_CONNECTIONS" && notNumber == nil:
			cfg.MaxConnections = number
		case name == "MAX_ADDRESS_CONNECTIONS" && notNumber == nil:
			cfg.MaxAddressConnections = number
		case name == "MAX_UNCONNECTED" && notNumber == nil:
			cfg.MaxUnconnected = number
		case name == "HANDSHAKE_RATE":
			cfg.HandshakeRate = rateOf(t, value)
		case name == "HANDSHAKES_RATE":
			cfg.HandshakesRate = rateOf(t, value)
		case name == "EVENT_RATE":
			cfg.Rates[limit.Event] = rateOf(t, value)
		case name == "BYTES_RATE":
			cfg.Rates[limit.Bytes] = rateOf(t, value)
		case name == "ALLOWED_ORIGINS":
			cfg.AllowedOrigins = origins(t, value)
		default:
			t.Fatal("no such setting: ", pair)
		}
	}
	return cfg
}

func rateOf(t testing.TB, text string) (r limit.Rate) {
	t.Helper()
	if err := r.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(text, err)
	}
	return r
}

// overPipes runs a test in a bubble with a fake clock, against an engine whose connections are
// pipes.
func overPipes(t *testing.T, open func(*Session) Handler, test func(t *testing.T, r *rig), pairs ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, open, pairs...)
		defer func() {
			r.close()
			<-time.After(time.Second) // net/http lingers for half of that after it has refused a body
		}()
		test(t, r)
	})
}

// overTCP makes an engine on loopback.
func overTCP(t testing.TB, open func(*Session) Handler, pairs ...string) *rig {
	t.Helper()
	l, dial := wiretest.ListenTCP(t)
	r := newRig(t, l, dial, open, pairs...)
	t.Cleanup(r.close)
	return r
}

func newRig(t testing.TB, l net.Listener, dial func() net.Conn, open func(*Session) Handler, pairs ...string) *rig {
	t.Helper()
	r := &rig{Dialer: wiretest.Dialer{T: t, New: dial}, log: &wiretest.Log{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.srv = New(settings(t, pairs...), log, open)
	r.web = &http.Server{Handler: r.srv, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	r.served.Go(func() { _ = r.web.Serve(l) })
	return r
}

// close ends the engine, and its clients if they are still there: after it, no goroutine of theirs
// is left.
func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, _ = r.srv.Shutdown(ctx)
	_ = r.web.Close()
	r.served.Wait()
}

// greeted makes a client over WebSocket that has read the handshake.
func (r *rig) greeted() *wiretest.Peer {
	r.T.Helper()
	p := r.Open()
	if s := p.Packet(); !strings.HasPrefix(s, "0{") {
		r.T.Fatal("no handshake but ", s)
	}
	return p
}

// offering makes a client over WebSocket that offers compression, and has read the handshake.
func (r *rig) offering() *wiretest.Peer {
	r.T.Helper()
	p := wiretest.UpgradeOffering(r.T, r.Dial(), "", wiretest.DeflateOffer)
	if s := p.Packet(); !strings.HasPrefix(s, "0{") {
		r.T.Fatal("no handshake but ", s)
	}
	return p
}

// socketOf waits for a session's WebSocket: its client may have the handshake's answer a moment
// before.
func socketOf(s *Session) *webSocketTransport {
	for {
		s.mu.Lock()
		t := s.transport
		s.mu.Unlock()
		if t != nil {
			return t.(*webSocketTransport)
		}
		runtime.Gosched()
	}
}

// tape is a handler that notes what its client sent, and does something with it.
type tape struct {
	// immutable
	s  *Session
	on func(s *Session, data []byte, binary bool) error // what it does with each message

	mu sync.Mutex

	// guarded by mu
	heard  []string
	stops  int
	closes int
}

// tapes returns a function that gives each session a tape, which calls on for each message.
func tapes(on func(s *Session, data []byte, binary bool) error) func(*Session) Handler {
	return func(s *Session) Handler { return &tape{s: s, on: on} }
}

// echo answers every message with itself.
func echo(s *Session, data []byte, binary bool) error {
	s.Send(engineio.NewMessage(data, binary))
	return nil
}

func (h *tape) Message(data []byte, binary bool) error {
	h.mu.Lock()
	if h.closes > 0 {
		h.heard = append(h.heard, "after the end")
	}
	h.heard = append(h.heard, string(data))
	h.mu.Unlock()
	return h.on(h.s, data, binary)
}

// all is what was heard so far.
func (h *tape) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.heard)
}

func (h *tape) stopped() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stops
}

func (h *tape) closed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closes
}

// endOf says how a session has ended.
func endOf(s *Session) (code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code, s.reason
}

func (h *tape) TooLarge(head []byte, size int, binary bool) error {
	return h.Message(fmt.Appendf(nil, "%d bytes: %s", size, head[:min(len(head), 3)]), binary)
}

func (h *tape) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stops++
}

func (h *tape) Closed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closes++
}
