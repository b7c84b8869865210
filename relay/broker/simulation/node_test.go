package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"setu/relay"
	"setu/relay/broker/redis"
	"setu/relay/broker/simulation/fakeredis"
)

// node is one life of a relay: the server as it is shipped, over the broker as it is shipped.
type node struct {
	w    *world
	name string // of the life, and of its link to Redis
	gate gate

	killed atomic.Bool // it reaches nobody any more

	logs *logs
	l    *listener

	broker *redis.Broker
	srv    *relay.Server
	web    *http.Server

	// owned by the driver
	dead      bool // killed, or has drained
	draining  bool
	frozen    bool
	freezes   []freeze
	sick      bool      // its link is not as it should be
	unready   time.Time // since when it has not been ready; zero: it is
	disturbed time.Time // when its link or its process was last not well
	told      bool      // a fault about its silence was found already

	refusals []time.Time // of publishes, the latest; guarded by world.mu
}

// dialTimeout is how long an attempt to connect may take, as in package redis.
const dialTimeout = 3 * time.Second

// start begins a relay's life.
func (w *world) start(slot int) *node {
	w.lives[slot]++
	name := cities[slot]
	if n := w.lives[slot]; n > 1 {
		name = fmt.Sprintf("%s.%d", name, n)
	}
	n := &node{w: w, name: name, logs: newLogs(w.j, name), l: newListener(), disturbed: time.Now()}
	settings := []string{"RELAY_ID=" + name, "FORWARD=off", "PING_INTERVAL=20s", "PING_TIMEOUT=10s",
		fmt.Sprintf("HISTORY_LIMIT=%d", w.plan.history), fmt.Sprintf("HISTORY_TTL=%s", w.plan.ttl),
		fmt.Sprintf("RECOVERY_TTL=%s", w.plan.recovery), fmt.Sprintf("PRESENCE_LEASE=%s", w.plan.lease)}
	if w.plan.told {
		settings = append(settings, "HOOK_URL=http://localhost", "HOOK_NETWORK=any", "HOOK_EVENTS=presence", "HOOK_GRACE=2s")
	}
	cfg, err := relay.LoadConfig(settings)
	if err != nil {
		panic(err)
	}
	cfg.HookTransport = appTransport{w, n}
	log := slog.New(n.logs)
	dial := w.redis.Dial(name)
	w.redis.SetLink(name, w.plan.link)
	n.broker, err = redis.Open(redis.Config{URL: "redis://redis:6379", Lease: cfg.PresenceLease, Limits: cfg.Limits(), Self: cfg.Peer(),
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			n.gate.wait(w.ended)
			c, err := dial(ctx, address)
			if err != nil {
				return nil, err
			}
			return n.gate.conn(c), nil
		}}, log)
	if err != nil {
		panic(err)
	}
	if n.srv, err = relay.New(cfg, n.broker, log); err != nil {
		panic(err)
	}
	n.web = &http.Server{Handler: n.srv, ErrorLog: slog.NewLogLogger(n.logs, slog.LevelDebug)}
	w.running.Go(func() { _ = n.web.Serve(n.l) })
	w.j.add(name, nil, "starts")
	w.nodes[slot] = n
	return n
}

// kill ends the process without a word: what its machine still has of connections is reset.
func (n *node) kill() {
	n.dead = true
	n.killed.Store(true)
	n.w.j.add(n.name, nil, "is killed")
	n.w.redis.SetLink(n.name, fakeredis.Link{NoDial: true, Lost: true, LostBack: true})
	n.w.redis.Cut(n.name)
	n.gate.thaw()
	n.end(0)
}

// end has the relay's goroutines end: a killed one's, which reach nothing any more, too.
func (n *node) end(patience time.Duration) {
	_ = n.l.Close()
	for _, m := range n.w.everybody() {
		if m.at() == n && patience == 0 {
			m.leave("")
		}
	}
	n.w.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = n.srv.Shutdown(ctx)
		_ = n.web.Close()
		_ = n.broker.Close(context.Background())
	})
}

// at is where the member is connected.
func (m *member) at() *node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.relay
}

// drainTimeout is how long a relay that drains has for its members.
const drainTimeout = 5 * time.Second

func (n *node) drain() {
	n.draining, n.dead = true, true
	n.w.j.add(n.name, nil, "drains")
	n.end(drainTimeout)
}

func (n *node) freeze() {
	n.frozen, n.disturbed = true, time.Now()
	n.freezes = append(n.freezes, freeze{from: n.disturbed})
	n.w.j.add(n.name, nil, "is frozen")
	n.gate.freeze()
}

func (n *node) thaw() {
	if n.frozen {
		n.frozen, n.disturbed = false, time.Now()
		n.freezes[len(n.freezes)-1].to = n.disturbed
		n.w.j.add(n.name, nil, "goes on")
	}
	n.gate.thaw()
}

// freeze is a time in which a relay was frozen.
type freeze struct{ from, to time.Time }

// saidAt returns when the relay said what arrived at a time: what it wrote while it was frozen arrives when
// it goes on.
func (n *node) saidAt(at time.Time) time.Time {
	for _, f := range n.freezes {
		if at.After(f.from) && at.Before(f.to.Add(time.Second)) {
			return f.from
		}
	}
	return at
}

var errShut = errors.New("nobody listens")

// dial opens a client's connection to the relay.
func (n *node) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case n.l.incoming <- n.gate.conn(theirs):
		return ours, nil
	case <-n.l.closed:
		return nil, errShut
	}
}

// listener is where a relay's clients arrive.
type listener struct {
	once     sync.Once
	incoming chan net.Conn
	closed   chan struct{}
}

func newListener() *listener {
	return &listener{incoming: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. http.Server closes it, too.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &net.IPAddr{} }
