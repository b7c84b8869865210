// Package balancer is a load balancer for tests that knows nothing of sessions:
// every request, and every WebSocket, goes to the next relay that is up. So the
// requests of one polling session come to different relays, as they do behind
// most load balancers in the world.
//
//	b := balancer.Start(t, dublin.Address(), tokyo.Address())
//	... clients are given b.URL() ...
//	b.Requests() tells what went where, and how it ended
package balancer

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"testing"
	"time"
)

// Balancer listens on the loopback, for as long as the test.
type Balancer struct {
	// Immutable after Start.
	listener  net.Listener
	checks    bool // whether relays are ready
	transport http.RoundTripper
	proxy     *httputil.ReverseProxy

	mu       sync.Mutex
	relays   []string
	down     map[string]bool
	turn     int
	conns    map[net.Conn]bool
	requests []*Request
}

// Start balances between relays, each a host and port. They are taken for up.
func Start(t testing.TB, relays ...string) *Balancer {
	t.Helper()
	return start(t, true, relays)
}

// StartBlind is Start without health checks: a relay is up for as long as it takes connections.
func StartBlind(t testing.TB, relays ...string) *Balancer {
	t.Helper()
	return start(t, false, relays)
}

func start(t testing.TB, checks bool, relays []string) *Balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a load balancer: %v", err)
	}
	b := &Balancer{listener: listener, checks: checks, relays: relays, down: map[string]bool{}, conns: map[net.Conn]bool{}}
	// A connection of its own for each request: one that is kept might be dead,
	// and that would show only when something was sent already.
	b.transport = &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	b.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      roundTripper(b.send),
		ModifyResponse: b.answered,
		ErrorHandler:   b.failed,
		ErrorLog:       log.New(io.Discard, "", 0), // it is all in Requests
	}
	server := &http.Server{Handler: http.HandlerFunc(b.serve), ConnState: b.track}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	if checks {
		wg.Go(func() { b.watch(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
		b.Cut()
		wg.Wait()
	})
	return b
}

// URL is what clients are given.
func (b *Balancer) URL() string { return "http://" + b.listener.Addr().String() }

// Point has all that comes from now on go to other relays.
func (b *Balancer) Point(relays ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.relays, b.down = relays, map[string]bool{}
}

// Cut ends all connections of clients without a word.
func (b *Balancer) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = c.Close()
	}
	clear(b.conns)
}

// track keeps the clients' connections for Cut, those of WebSockets, too, which
// the server lets go of.
func (b *Balancer) track(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch state {
	case http.StateNew:
		b.conns[c] = true
	case http.StateClosed:
		delete(b.conns, c)
	}
}

func (b *Balancer) serve(w http.ResponseWriter, r *http.Request) {
	seen := b.begin(r)
	defer b.end(seen)
	b.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, seen)))
}

// rewrite leaves a request as the client sent it; send puts the relay in.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "next", r.In.Host
	r.SetXForwarded()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errNoneUp = errors.New("no relay is up")

// send tries the relays in turn, until one takes the connection.
func (b *Balancer) send(r *http.Request) (*http.Response, error) {
	for _, relay := range b.order() {
		out := r.Clone(r.Context())
		out.URL.Host = relay
		if r.Body != nil {
			out.Body = io.NopCloser(r.Body) // still whole where nobody took the connection
		}
		b.note(r, func(seen *Request) { seen.Relay = relay })
		response, err := b.transport.RoundTrip(out)
		if refused := (*net.OpError)(nil); errors.As(err, &refused) && refused.Op == "dial" && r.Context().Err() == nil {
			if b.checks { // who does not look whether it is back tries it again next time
				b.set(relay, true)
			}
			continue
		}
		return response, err
	}
	return nil, errNoneUp
}

// order is the relays that are up, the next first.
func (b *Balancer) order() (up []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	for i := range b.relays {
		if relay := b.relays[(b.turn+i)%len(b.relays)]; !b.down[relay] {
			up = append(up, relay)
		}
	}
	return up
}

func (b *Balancer) set(relay string, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down[relay] = down
}

// checkEvery is how often each relay is asked whether it is ready.
const checkEvery = 100 * time.Millisecond

// watch asks the relays, as every load balancer does: one that starts takes
// connections before it serves, and one that drains still does.
func (b *Balancer) watch(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		b.mu.Lock()
		relays := b.relays
		b.mu.Unlock()
		for _, relay := range relays {
			down := !b.isReady(ctx, relay)
			if ctx.Err() == nil {
				b.set(relay, down)
			}
		}
	}
}

func (b *Balancer) isReady(ctx context.Context, relay string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+relay+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := b.transport.RoundTrip(r)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
