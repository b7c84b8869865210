package forward

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/engineio"
	"setu/relay/metrics"
)

// answerTimeout is how long the client may take to read an answer that another relay has given.
const answerTimeout = 30 * time.Second

// errUnavailable: the other relay answered 503. It is full, or drains, too.
var errUnavailable = errors.New("the other relay takes no new clients")

// hops reports whether r can be brought to p over the private network. Whoever has chosen replays
// has a network for WebSockets, too: Fly's.
func (f *Forwarder) hops(p broker.Peer, r *http.Request) bool {
	return p.URL != "" && (f.cfg.Mode != Replay || opensWebSocket(r) && f.onFly())
}

// hop brings r to another relay and its answer back; of a WebSocket all that follows, too. After an
// error nothing has been answered yet.
func (f *Forwarder) hop(w http.ResponseWriter, r *http.Request, p broker.Peer) (err error) {
	defer func() { f.countFailed(err) }()
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{}) // a poll waits for as long as there is nothing
	if r.ContentLength == 0 {
		_ = c.SetReadDeadline(time.Time{})
	}
	target, err := url.Parse(p.URL)
	secret, err2 := f.fleet.Secret(r.Context())
	if err := errors.Join(err, err2); err != nil {
		f.log.Warn("cannot bring a request to another relay", "relay", p.URL, "error", err)
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(f.life, cancel)()
	proxy := httputil.ReverseProxy{
		Transport:     f.transport,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host // by which the other relay judges the origin
			pr.SetXForwarded()
			now := time.Now()
			pr.Out.Header.Set(signatureHeader, sign(secret, p.Node, pr.In, now))
			pr.Out.Header.Set(clientHeader, signClient(secret, f.engine.Client(pr.In), pr.In))
		},
		ModifyResponse: func(res *http.Response) error {
			if res.StatusCode == http.StatusServiceUnavailable && engine.Param(r, "sid") == "" {
				return errUnavailable
			}
			f.cfg.Metrics.Forwards.Of(metrics.ModeProxy, metrics.ForwardOK).Inc() // now: a WebSocket's hop takes as long as that
			if res.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
			// A client that reads nothing must not hold this goroutine.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, failed error) {
			err = failed
			if isDial(err) && ctx.Err() == nil {
				f.note(p.Node, peer{Peer: p, dead: time.Now()})
			}
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
	return err
}

// countFailed counts a hop that ended with an error, if it did.
func (f *Forwarder) countFailed(err error) {
	result := metrics.ForwardFailed
	switch {
	case err == nil:
		return
	case isDial(err):
		result = metrics.ForwardUnreachable
	case errors.Is(err, errUnavailable):
		result = metrics.ForwardRefused
	}
	f.cfg.Metrics.Forwards.Of(metrics.ModeProxy, result).Inc()
}

func isDial(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// serveForwarded serves what another relay has sent here. It goes nowhere else, whatever it names.
func (f *Forwarder) serveForwarded(w http.ResponseWriter, r *http.Request) {
	if err := f.verify(r); err != nil {
		f.engine.Refused(refusedPass, r, "error", err)
		engine.Refuse(w, http.StatusForbidden, engineio.ErrForbidden)
		return
	}
	at := f.clientOf(r)
	r.Header.Del(signatureHeader)
	r.Header.Del(clientHeader)
	f.engine.ServeHTTP(w, engine.Forwarded(r, at))
}
