package relay

import (
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"

	"setu/relay/engine"
	"setu/relay/limit"
	"setu/relay/metrics"
)

// front bounds what one address may have of what no session is: connections on which nothing is asked, and
// files of the page.
type front struct {
	// immutable
	addresses limit.Addresses
	refusals  *engine.Refusals
	files     *limit.Buckets[netip.Addr]
	serving   *limit.Counts[netip.Addr] // files that are being served
	idle      *limit.Counts[netip.Addr] // connections that have asked nothing yet, or are kept for the next request

	mu      sync.Mutex // guards what follows
	counted map[net.Conn]netip.Addr
}

// filesPerPage is about how many files of the page go with one handshake.
const filesPerPage = 8

var (
	closedIdle    = engine.Refusal{Level: slog.LevelInfo, Text: "closed a connection: on MAX_ADDRESS_CONNECTIONS of its address nothing is asked", Limit: metrics.LimitAddressConnections}
	refusedFile   = engine.Refusal{Level: slog.LevelInfo, Text: "refused a file of the page: more than HANDSHAKE_RATE from its address", Limit: metrics.LimitAddressHandshakes}
	refusedUnread = engine.Refusal{Level: slog.LevelInfo, Text: "refused a file of the page: MAX_ADDRESS_CONNECTIONS of its address wait for some", Limit: metrics.LimitAddressConnections}
)

func newFront(cfg engine.Config, log *slog.Logger) *front {
	files := cfg.HandshakeRate
	files.Events *= filesPerPage
	files.Burst *= filesPerPage
	return &front{addresses: cfg.Addresses, refusals: engine.NewRefusals(log, cfg.Metrics), files: limit.NewBuckets[netip.Addr](files),
		serving: limit.NewCounts[netip.Addr](cfg.MaxAddressConnections, 0), idle: limit.NewCounts[netip.Addr](cfg.MaxAddressConnections, 0),
		counted: map[net.Conn]netip.Addr{}}
}

// ConnState is for the http.Server that serves a relay: it closes connections on which nothing is asked
// if one address has too many of them. A proxy's are not counted, nor is what has become a WebSocket.
func (srv *Server) ConnState(c net.Conn, state http.ConnState) {
	f := srv.front
	if state != http.StateNew && state != http.StateIdle {
		f.leave(c)
		return
	}
	at, ok := f.addresses.OfPeer(c.RemoteAddr().String())
	switch {
	case !ok:
	case srv.engine.IsShutOut(at):
		_ = c.Close()
	case !f.enter(c, at):
		f.refusals.Note(closedIdle, "from", c.RemoteAddr())
		_ = c.Close()
	}
}

// enter counts a connection on which nothing is asked. It reports false if that is one too many.
func (f *front) enter(c net.Conn, at netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, is := f.counted[c]; is {
		return true
	}
	if !f.idle.Add(at) {
		return false
	}
	f.counted[c] = at
	return true
}

func (f *front) leave(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, is := f.counted[c]; is {
		f.idle.Remove(at)
		delete(f.counted, c)
	}
}

// BoundFiles bounds how many files of the page one address is served, at a time and in all.
func (srv *Server) BoundFiles(files http.Handler) http.Handler {
	f := srv.front
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := f.addresses.Of(r)
		if wait := f.files.Take(at); wait > 0 {
			f.refuse(w, r, refusedFile, int(math.Ceil(wait.Seconds())))
			return
		}
		if !f.serving.Add(at) {
			f.refuse(w, r, refusedUnread, 1)
			return
		}
		defer f.serving.Remove(at)
		files.ServeHTTP(w, r)
	})
}

func (f *front) refuse(w http.ResponseWriter, r *http.Request, kind engine.Refusal, seconds int) {
	f.refusals.Note(kind, "from", r.RemoteAddr)
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Connection", "close") // what was asked for on it meanwhile costs another one
	http.Error(w, "too many requests: wait "+strconv.Itoa(seconds)+" s", http.StatusTooManyRequests)
}
