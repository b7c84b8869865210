// Package forward brings a request to the relay whose session it names.
//
// A session lives in one relay, and its id names that relay. A load balancer knows nothing of it:
// requests of long polling, and the WebSocket of an upgrade, reach any relay. The one that is wrong
// has the request brought to the right one: on Fly.io by its proxy, which is told to replay it
// there, elsewhere by a hop over the private network. It is the only hop: what comes over it is
// served there or refused.
package forward

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/engineio"
)

// Ways in which a request gets to the right relay.
const (
	Auto   = "auto"       // Replay on Fly.io, else Proxy
	Replay = "fly-replay" // by Fly.io's proxy
	Proxy  = "proxy"      // by a hop
	Off    = "off"
)

const (
	// replayHeader of an answer has Fly's proxy bring the request to another machine.
	replayHeader = "Fly-Replay"
	// maxReplay bounds the body of a request that Fly's proxy replays, in bytes.
	maxReplay = 1_000_000
	// findTimeout bounds the search for a relay.
	findTimeout = 2 * time.Second
	// dialTimeout bounds the dial of a hop: within one private network.
	dialTimeout = time.Second
	// deadFor is how long a relay that could not be dialed is not dialed again.
	deadFor = 5 * time.Second
	// maxPeers bounds what is remembered of other relays.
	maxPeers = 1024
)

// Refusals of what belongs, or is said to belong, to another relay.
var (
	refusedPass        = engine.Refusal{Level: slog.LevelWarn, Text: "refused a request that claims to come from another relay"}
	refusedUnreachable = engine.Refusal{Level: slog.LevelWarn, Text: "refused a request: its relay cannot be reached; if it runs, see PRIVATE_URL there"}
)

// Config is what the forwarder needs of the settings.
type Config struct {
	Mode    string // Auto, Replay, Proxy or Off
	Machine string // this machine's id on Fly.io; empty elsewhere
}

// Forwarder is the engine's front: what is another relay's it brings there.
type Forwarder struct {
	// immutable after New
	cfg    Config
	fleet  broker.Fleet
	engine *engine.Server
	log    *slog.Logger
	hops   *http.Transport
	life   context.Context // of hops: ends with Close
	end    context.CancelFunc

	mu    sync.Mutex // guards what follows
	peers map[string]peer
}

// peer is what was last heard of another relay.
type peer struct {
	broker.Peer
	dead time.Time // when it could not be reached; zero: it was reached
}

// New returns a front for an engine. Close ends what it starts.
func New(cfg Config, fleet broker.Fleet, e *engine.Server, log *slog.Logger) *Forwarder {
	f := &Forwarder{cfg: cfg, fleet: fleet, engine: e, log: log, peers: map[string]peer{}, hops: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// Close cuts the hops that are under way.
func (f *Forwarder) Close() {
	f.end()
	f.hops.CloseIdleConnections()
}

// ServeHTTP implements http.Handler: what is this relay's is served, what is another's brought there.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(passHeader) != "" {
		f.serveForwarded(w, r)
		return
	}
	node := engine.NodeOf(r.URL.Query().Get("sid"))
	if node == "" || node == f.engine.Node() || f.cfg.Mode == Off {
		f.engine.ServeHTTP(w, r)
		return
	}
	p, ok := f.find(r.Context(), node)
	switch {
	case !ok:
		f.engine.ServeHTTP(w, r) // which does not know the session
	case f.replays(p, r):
		w.Header().Set(replayHeader, "instance="+p.Machine)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusConflict) // for whoever is not Fly's proxy
	case p.URL != "" && f.cfg.Mode != Replay:
		f.hop(w, r, p)
	default:
		f.engine.ServeHTTP(w, r)
	}
}

// replays reports whether Fly's proxy can bring r to p. Of this machine's own former life nothing is
// left.
func (f *Forwarder) replays(p broker.Peer, r *http.Request) bool {
	return f.cfg.Mode != Proxy && f.cfg.Machine != "" && p.Machine != "" && p.Machine != f.cfg.Machine &&
		r.ContentLength >= 0 && r.ContentLength <= maxReplay
}

// find looks another relay up. While the store is away, what was known of it last holds.
func (f *Forwarder) find(ctx context.Context, node string) (broker.Peer, bool) {
	f.mu.Lock()
	was := f.peers[node]
	f.mu.Unlock()
	switch {
	case time.Since(was.dead) < deadFor:
		return broker.Peer{}, false
	case was.Node != "" && f.fleet.Ready() != nil:
		return was.Peer, true
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	p, err := f.fleet.Peer(ctx, node)
	switch {
	case err == nil:
		f.note(node, peer{Peer: p})
		return p, true
	case errors.Is(err, broker.ErrGone):
		f.drop(node)
		return p, false
	}
	return was.Peer, was.Node != ""
}

func (f *Forwarder) note(node string, p peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.peers) >= maxPeers {
		clear(f.peers)
	}
	f.peers[node] = p
}

func (f *Forwarder) drop(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, node)
}

// hop brings r to another relay and its answer back; of a WebSocket all that follows, too. If the
// other relay can't be reached, its sessions are as good as gone.
func (f *Forwarder) hop(w http.ResponseWriter, r *http.Request, p broker.Peer) {
	target, err := url.Parse(p.URL)
	secret, err2 := f.fleet.Secret(r.Context())
	if err := errors.Join(err, err2); err != nil {
		f.log.Warn("cannot bring a request to its relay", "relay", p.URL, "error", err)
		f.engine.ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(f.life, cancel)()
	proxy := httputil.ReverseProxy{
		Transport:     f.hops,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host // by which the other relay judges the origin
			pr.SetXForwarded()
			pr.Out.Header.Set(passHeader, sign(secret, p.Node, pr.In, time.Now()))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var dial *net.OpError
			if errors.As(err, &dial) && dial.Op == "dial" && ctx.Err() == nil {
				f.note(p.Node, peer{Peer: p, dead: time.Now()})
				f.engine.Refused(refusedUnreachable, r, "relay", p.URL, "error", err)
			} else {
				f.log.Debug("a request did not get to its relay", "relay", p.URL, "error", err)
			}
			engine.Refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// serveForwarded serves what another relay has sent here. It goes nowhere else, whatever it names.
func (f *Forwarder) serveForwarded(w http.ResponseWriter, r *http.Request) {
	if err := f.verify(r); err != nil {
		f.engine.Refused(refusedPass, r, "error", err)
		engine.Refuse(w, http.StatusForbidden, engineio.ErrForbidden)
		return
	}
	r.Header.Del(passHeader)
	f.engine.ServeHTTP(w, r)
}
