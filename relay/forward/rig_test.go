package forward

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const polling = "/?EIO=4&transport=polling"

// fleet is the part of a broker by which relays find one another.
type fleet struct {
	secret string // immutable once relays have joined

	mu sync.Mutex

	// guarded by mu once requests come
	peers  map[string]broker.Peer // by node
	others []broker.Peer          // in the order in which they are tried
	away   error                  // set while the store is unavailable

	unannounced chan struct{} // closed when all can be found; nil: they can
	waiting     chan struct{} // gets something when somebody waits for that
}

func newFleet() *fleet {
	return &fleet{peers: map[string]broker.Peer{}, secret: "the secret of this fleet, 32 byte"}
}

func (f *fleet) Peer(_ context.Context, node string) (broker.Peer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.peers[node]; ok {
		return p, f.away
	}
	return broker.Peer{}, broker.ErrGone
}

func (f *fleet) Others(context.Context) ([]broker.Peer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		return nil, f.away
	}
	return f.others, nil
}

func (f *fleet) Announced(ctx context.Context) {
	if f.unannounced == nil {
		return
	}
	f.waiting <- struct{}{}
	select {
	case <-f.unannounced:
	case <-ctx.Done():
	}
}

func (f *fleet) Drain() {}

func (f *fleet) RoundTrip() time.Duration { return 0 }

func (f *fleet) Secret(context.Context) ([]byte, error) { return []byte(f.secret), nil }

func (f *fleet) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

// setAway makes the store unavailable, or available again if err is nil.
func (f *fleet) setAway(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
}

// relay is a forwarder in front of an engine whose sessions say nothing.
type relay struct {
	*Forwarder
	broker.Peer
	served *counter
}

// counter counts the requests that come to a relay.
type counter struct {
	mu sync.Mutex
	n  int // guarded by mu
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// mute is a session's handler that says nothing.
type mute struct{}

func (mute) Message([]byte, bool) error                        { return nil }
func (mute) TooLarge(head []byte, size int, binary bool) error { return nil }
func (mute) Stop()                                             {}
func (mute) Closed()                                           {}

// join starts a relay that the fleet finds by its node.
func (f *fleet) join(t *testing.T, cfg Config, e engine.Config) *relay {
	t.Helper()
	e.Node = engine.NewNode()
	log := slog.New(slog.DiscardHandler)
	eng := engine.New(e, log, func(*engine.Session) engine.Handler { return mute{} })
	r := &relay{Forwarder: New(cfg, f, eng, log), served: &counter{}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.served.mu.Lock()
		r.served.n++
		r.served.mu.Unlock()
		r.ServeHTTP(w, req)
	}))
	r.Peer = broker.Peer{Node: e.Node, URL: web.URL, Machine: cfg.Machine}
	f.peers[e.Node] = r.Peer
	t.Cleanup(func() {
		r.Close()
		r.drain()
		web.Close()
	})
	return r
}

// drain ends all sessions, and makes the relay take no new ones.
func (r *relay) drain() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = r.engine.Shutdown(ctx)
}

// dead returns a relay that cannot be dialed.
func dead(t *testing.T) broker.Peer {
	t.Helper()
	nowhere, release, err := wiretest.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return broker.Peer{Node: engine.NewNode(), URL: "http://" + nowhere, Machine: "dead"}
}

// ask makes one request over a connection of its own.
func ask(t *testing.T, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if header != nil {
		req.Header = header
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// open opens a session by polling, and returns its id or what the relay said instead.
func open(t *testing.T, url string, header http.Header) string {
	t.Helper()
	return openWith(t, url, "", header)
}

// openWith is open with more in the request's query.
func openWith(t *testing.T, url, query string, header http.Header) string {
	t.Helper()
	_, body := ask(t, "GET", url+polling+query, "", header)
	if sid, ok := strings.CutPrefix(body, `0{"sid":"`); ok {
		sid, _, _ = strings.Cut(sid, `"`)
		return sid
	}
	return strings.TrimSpace(body)
}
