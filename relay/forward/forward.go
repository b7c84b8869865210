// Package forward brings a request to the relay that is to serve it.
//
// A session lives in one relay, and its id names that relay. A load balancer knows nothing of it:
// requests of long polling, and the WebSocket of an upgrade, reach any relay. The one that is wrong
// has the request brought to the right one. A relay that drains takes no new sessions: it has those
// who ask for one brought to any other relay.
//
// There are two ways. On Fly.io its proxy is told to replay the request there (replay.go).
// Elsewhere, and for a WebSocket, the request makes a hop over the private network (hop.go), signed
// by a secret that the fleet shares (sign.go). It is the only hop: what comes over it is served
// there or refused.
package forward

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/metrics"
)

// Ways in which a request gets to the right relay.
const (
	Auto   = "auto"       // Replay on Fly.io, else Proxy
	Replay = "fly-replay" // by Fly.io's proxy, but for a WebSocket
	Proxy  = "proxy"      // by a hop
	Off    = "off"
)

// dialTimeout bounds the dial of a hop: within one private network.
const dialTimeout = time.Second

// Refusals of what belongs, or is said to belong, to another relay.
var (
	refusedPass        = engine.Refusal{Level: slog.LevelWarn, Text: "refused a request that claims to come from another relay", Limit: metrics.LimitSignature}
	refusedUnreachable = engine.Refusal{Level: slog.LevelWarn, Text: "refused a request: its relay cannot be reached; if it runs, see PRIVATE_URL there", Limit: metrics.LimitUnreachable}
)

// Config is what the forwarder needs of the settings.
type Config struct {
	Mode    string // Auto, Replay, Proxy or Off
	Machine string // this machine's id on Fly.io; empty elsewhere
	Region  string // where this relay is; who wants another region is brought there

	Metrics *metrics.Metrics // count what happens; nil: nobody reads them
}

// Forwarder is the engine's front: what is another relay's it brings there.
type Forwarder struct {
	// immutable after New
	cfg       Config
	fleet     broker.Fleet
	engine    *engine.Server
	log       *slog.Logger
	transport *http.Transport // of hops
	life      context.Context // of hops: ends with Close
	end       context.CancelFunc

	regionHops atomic.Int64 // that are under way because a client wants another region

	mu     sync.Mutex      // guards what follows
	peers  map[string]peer // by node
	others []broker.Peer   // as they were last heard of
}

// New returns a front for an engine. Close ends what it starts.
func New(cfg Config, fleet broker.Fleet, e *engine.Server, log *slog.Logger) *Forwarder {
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New()
	}
	f := &Forwarder{cfg: cfg, fleet: fleet, engine: e, log: log, peers: map[string]peer{}, transport: &http.Transport{
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
	f.transport.CloseIdleConnections()
}

// ServeHTTP implements http.Handler: what is this relay's is served, what is another's brought
// there.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(signatureHeader) != "" {
		f.serveForwarded(w, r)
		return
	}
	sid := engine.Param(r, "sid")
	node := engine.NodeOf(sid)
	opens := opensSession(r, sid)
	if opens && !opensWebSocket(r) && f.cfg.Mode != Off {
		f.fleet.Announced(r.Context()) // what comes next of the session may reach a relay that has to find this one
	}
	switch {
	case f.cfg.Mode == Off:
		f.engine.ServeHTTP(w, r)
	case opens && f.engine.Draining() != nil && !choosesItself(r):
		f.toAnother(w, r, regionFirst(f.findOthers(r.Context()), wants(r)))
	case opens && f.isElsewhere(r):
		f.toRegion(w, r)
	case node == "" || node == f.engine.Node() || f.replayFailed(r):
		f.engine.ServeHTTP(w, r) // another's session is unknown to it
	default:
		f.toOwner(w, r, node)
	}
}

// opensSession reports whether a request asks for a new session, and can be sent more than once.
func opensSession(r *http.Request, sid string) bool {
	return sid == "" && r.Method == http.MethodGet && r.ContentLength == 0
}

// choosesItself reports whether a request for a WebSocket comes from a client that has addressed this
// relay by itself. Refused, it goes to its next address at once, and is not cut a second time when
// this relay ends. What comes by way of a load balancer says so (RFC 7239; RFC 9110, 7.6.3).
func choosesItself(r *http.Request) bool {
	h := r.Header
	proxied := h.Get("X-Forwarded-For") != "" || h.Get("Forwarded") != "" || h.Get("Via") != ""
	return opensWebSocket(r) && !proxied
}

// toOwner brings r to the relay whose session it names. If that relay can't be reached, its
// sessions are as good as gone: the engine here says so.
func (f *Forwarder) toOwner(w http.ResponseWriter, r *http.Request, node string) {
	p, ok := f.find(r.Context(), node)
	switch {
	case ok && f.replays(p.Peer, r):
		f.replay(w, "instance="+p.Machine)
		return
	case ok && f.hops(p.Peer, r):
		f.engine.AwaitRequest(r)
		err := f.hop(w, r, p.Peer)
		if err == nil {
			return
		}
		if isDial(err) && !p.lost {
			f.engine.RefuseUnknown(w, r, refusedUnreachable, "relay", p.URL, "error", err)
			return
		}
		f.log.Debug("a request did not get to its relay", "relay", p.URL, "error", err)
	}
	f.engine.ServeHTTP(w, r)
}

// maxTries is how many relays are asked to take a new session before it is refused.
const maxTries = 2

// toAnother brings r, which opens a session, to one of these relays, which take new ones. If none does, it is
// for the engine here, which refuses it if this relay drains.
//
// A WebSocket that is opened so goes through this relay, and is cut with the last hops. Behind a load
// balancer that one stretch more costs the client less than a refusal does: each doubles the time
// that it waits, and a balancer that knows no better brings it here again.
func (f *Forwarder) toAnother(w http.ResponseWriter, r *http.Request, others []broker.Peer) {
	f.engine.AwaitRequest(r)
	tries, region := 0, wants(r)
	for _, p := range others {
		switch {
		case f.replays(p, r) && !replayed(r):
			to := "elsewhere=true"
			if region != "" && p.Region == region {
				to = "instance=" + p.Machine
			}
			f.replay(w, to)
			return
		case !f.hops(p, r):
			continue
		case tries == maxTries:
			f.engine.ServeHTTP(w, r)
			return
		}
		tries++
		err := f.hop(w, r, p)
		if err == nil {
			return
		}
		f.log.Debug("another relay did not take a new client", "relay", p.URL, "error", err)
	}
	f.engine.ServeHTTP(w, r)
}
