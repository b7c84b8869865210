package relay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// A session lives in one relay, and its id names that relay. A load balancer knows nothing of it: requests of long polling, and
// the WebSocket of an upgrade, reach any relay. The one that is wrong has the request brought to the right one: on Fly.io by
// its proxy, which is told to replay it there, elsewhere by a hop over the private network. It is the only hop: what comes over
// it is served there or refused.

const (
	// forwardHeader of a request says that a relay of this fleet has sent it on: "<node> <seconds since 1970> <MAC>", the MAC
	// (HMAC-SHA256, RFC 2104) by the secret that the fleet shares.
	forwardHeader = "Setu-Forward"
	// replayHeader of an answer has Fly's proxy bring the request to another machine.
	replayHeader = "Fly-Replay"
	// maxReplay bounds the body of a request that Fly's proxy replays, in bytes.
	maxReplay = 1_000_000
	// forwardSkew is how far the clocks of two relays may be apart.
	forwardSkew = 5 * time.Minute
	// lookTimeout bounds the search for a relay.
	lookTimeout = 2 * time.Second
	// hopTimeout bounds the dial of a hop: within one private network.
	hopTimeout = time.Second
	// deadFor is how long a relay that could not be dialed is not dialed again.
	deadFor = 5 * time.Second
	// maxPeers bounds what is remembered of other relays.
	maxPeers = 1024
)

// forwarder brings requests to the relay whose session they name.
type forwarder struct {
	// immutable
	cfg    Config
	broker broker.Broker
	engine *Engine
	log    *slog.Logger
	hops   *http.Transport
	life   context.Context // of hops: ends when the relay has drained
	end    context.CancelFunc

	mu    sync.Mutex
	peers map[string]known
}

// known is what was last heard of another relay.
type known struct {
	broker.Peer
	dead time.Time // when it could not be reached; zero: it was not so
}

func newForwarder(cfg Config, b broker.Broker, e *Engine, log *slog.Logger) *forwarder {
	f := &forwarder{cfg: cfg, broker: b, engine: e, log: log, peers: map[string]known{}, hops: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: hopTimeout}).DialContext,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// close cuts the hops that are under way.
func (f *forwarder) close() {
	f.end()
	f.hops.CloseIdleConnections()
}

// ServeHTTP implements http.Handler: what is ours is served, what is another relay's is brought there.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(forwardHeader) != "" {
		f.serveForwarded(w, r)
		return
	}
	node := nodeOf(r.URL.Query().Get("sid"))
	if node == "" || node == f.engine.node || f.cfg.Forward == forwardOff {
		f.engine.ServeHTTP(w, r)
		return
	}
	peer, ok := f.find(r.Context(), node)
	switch {
	case !ok:
		f.engine.ServeHTTP(w, r) // which does not know the session
	case f.replays(peer, r):
		w.Header().Set(replayHeader, "instance="+peer.Machine)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusConflict) // for whoever is not Fly's proxy
	case peer.URL != "" && f.cfg.Forward != forwardReplay:
		f.hop(w, r, peer)
	default:
		f.engine.ServeHTTP(w, r)
	}
}

// replays tells whether Fly's proxy can bring r there. Of this machine's own former life nothing is left.
func (f *forwarder) replays(p broker.Peer, r *http.Request) bool {
	return f.cfg.Forward != forwardProxy && f.cfg.Machine != "" && p.Machine != "" && p.Machine != f.cfg.Machine &&
		r.ContentLength >= 0 && r.ContentLength <= maxReplay
}

// nodeOf is the relay that a session id names, or nothing.
func nodeOf(sid string) string {
	_, node, _ := strings.Cut(sid, ".")
	if len(node) != nodeLength || strings.ContainsFunc(node, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') }) {
		return ""
	}
	return node
}

// find looks another relay up. Where the store is away, what was known of it last holds.
func (f *forwarder) find(ctx context.Context, node string) (broker.Peer, bool) {
	f.mu.Lock()
	was := f.peers[node]
	f.mu.Unlock()
	switch {
	case time.Since(was.dead) < deadFor:
		return broker.Peer{}, false
	case was.Node != "" && f.broker.Ready() != nil:
		return was.Peer, true
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	p, err := f.broker.Peer(ctx, node)
	switch {
	case err == nil:
		f.note(node, known{Peer: p})
		return p, true
	case errors.Is(err, broker.ErrGone):
		f.drop(node)
		return p, false
	}
	return was.Peer, was.Node != ""
}

func (f *forwarder) note(node string, k known) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.peers) >= maxPeers {
		clear(f.peers)
	}
	f.peers[node] = k
}

func (f *forwarder) drop(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, node)
}

// hop brings r to another relay and its answer back, for a WebSocket all that follows, too. Where the other one can't be
// reached its sessions are as good as gone.
func (f *forwarder) hop(w http.ResponseWriter, r *http.Request, p broker.Peer) {
	target, err := url.Parse(p.URL)
	secret, err2 := f.broker.Secret(r.Context())
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
			pr.Out.Header.Set(forwardHeader, pass(secret, p.Node, pr.In, time.Now()))
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			var dial *net.OpError
			if errors.As(err, &dial) && dial.Op == "dial" && ctx.Err() == nil {
				f.note(p.Node, known{Peer: p, dead: time.Now()})
			}
			f.log.Debug("a request did not get to its relay", "relay", p.URL, "error", err)
			refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// pass is what forwardHeader says for a request on its way to node.
func pass(secret []byte, node string, r *http.Request, at time.Time) string {
	head := node + " " + strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("setu forward\n" + head + "\n" + r.Method + "\n" + r.URL.Query().Get("sid")))
	return head + " " + hex.EncodeToString(mac.Sum(nil))
}

// serveForwarded serves what another relay has sent here. It goes nowhere else, whatever it names.
func (f *forwarder) serveForwarded(w http.ResponseWriter, r *http.Request) {
	if err := f.check(r); err != nil {
		f.log.Warn("refused a request that claims to come from another relay", "from", r.RemoteAddr, "error", err)
		refuse(w, http.StatusForbidden, engineio.ErrForbidden)
		return
	}
	r.Header.Del(forwardHeader)
	f.engine.ServeHTTP(w, r)
}

var errPass = errors.New("not signed by this fleet, or not now")

func (f *forwarder) check(r *http.Request) error {
	got := r.Header.Get(forwardHeader)
	part := strings.Split(got, " ")
	if len(part) != 3 {
		return errPass
	}
	seconds, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil {
		return errPass
	}
	at := time.Unix(seconds, 0)
	secret, err := f.broker.Secret(r.Context())
	if err != nil {
		return err
	}
	if time.Since(at).Abs() > forwardSkew || !hmac.Equal([]byte(got), []byte(pass(secret, part[0], r, at))) {
		return errPass
	}
	return nil
}
