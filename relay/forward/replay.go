package forward

import (
	"net/http"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/metrics"
)

// Headers by which Fly's proxy is told to bring a request to another machine, and tells that it
// did.
const (
	replayHeader       = "Fly-Replay"        // of an answer
	replayFailedHeader = "Fly-Replay-Failed" // of a request that comes back: the other machine could not be reached
	replayedHeader     = "Fly-Replay-Src"    // of a request that comes from another machine
)

// orBack has a request come back to this machine if the other one does not take it in time.
const orBack = ";timeout=2s;fallback=prefer_self"

// maxReplay bounds the body of a request that Fly's proxy replays, in bytes.
const maxReplay = 1_000_000

// replay answers a request by having Fly's proxy bring it elsewhere.
func (f *Forwarder) replay(w http.ResponseWriter, to string) {
	f.cfg.Metrics.Forwards.Of(metrics.ModeReplay, metrics.ForwardOK).Inc()
	w.Header().Set(replayHeader, to+orBack)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusConflict) // for whoever is not Fly's proxy
}

// replays reports whether Fly's proxy can bring r to p. A WebSocket it may not: some that were
// replayed ended as 502, after which a stock client stays with polling for good. Of this machine's
// own former life nothing is left.
func (f *Forwarder) replays(p broker.Peer, r *http.Request) bool {
	return f.onFly() && p.Machine != "" && p.Machine != f.cfg.Machine &&
		!opensWebSocket(r) && r.ContentLength >= 0 && r.ContentLength <= maxReplay
}

// onFly reports whether this relay uses Fly's proxy. Elsewhere its headers are anybody's.
func (f *Forwarder) onFly() bool { return f.cfg.Machine != "" && f.cfg.Mode != Proxy }

// replayFailed reports whether a replay of r has failed: it is not to be tried again.
func (f *Forwarder) replayFailed(r *http.Request) bool {
	return f.onFly() && r.Header.Get(replayFailedHeader) != ""
}

// replayed reports whether r was replayed already, whatever came of it. Two relays that drain would
// send each other a new client for ever.
func replayed(r *http.Request) bool {
	return r.Header.Get(replayedHeader) != "" || r.Header.Get(replayFailedHeader) != ""
}

func opensWebSocket(r *http.Request) bool { return engine.Param(r, "transport") == "websocket" }
