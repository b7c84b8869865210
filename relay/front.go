package relay

import (
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"time"

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
	opened    *limit.Buckets[netip.Addr]
	mostIdle  int // of an address; 0: no bound

	mu      sync.Mutex // guards what follows
	counted map[net.Conn]netip.Addr
}

// filesPerPage is about how many files of the page go with one handshake; of those that a browser has not
// kept fewer. In no case there are more connections.
const (
	filesPerPage = 8
	filesAtOnce  = 2
)

// What an address costs before it is known what it wants, and what it may owe until nothing more is taken from it
// (see the engine's turns).
const (
	acceptPrice     = 20 * time.Microsecond
	connectionPrice = 40 * time.Microsecond // beside that, before anything of it is read
	filePrice       = 250 * time.Microsecond
	mostOwed        = 5 * time.Second
)

var (
	closedOpened  = engine.Refusal{Level: slog.LevelInfo, Text: "closed a connection unread: more than eight times HANDSHAKE_RATE from its address", Limit: metrics.LimitAddressHandshakes}
	closedOwing   = engine.Refusal{Level: slog.LevelInfo, Text: "closed a connection unread: what else its address wants takes more than its part of the processor", Limit: metrics.LimitTurns}
	closedIdle    = engine.Refusal{Level: slog.LevelInfo, Text: "closed a connection: on MAX_ADDRESS_CONNECTIONS of its address nothing is asked", Limit: metrics.LimitAddressConnections}
	refusedFile   = engine.Refusal{Level: slog.LevelInfo, Text: "refused a file of the page: more than HANDSHAKE_RATE from its address", Limit: metrics.LimitAddressHandshakes}
	refusedUnread = engine.Refusal{Level: slog.LevelInfo, Text: "refused a file of the page: MAX_ADDRESS_CONNECTIONS of its address wait for some", Limit: metrics.LimitAddressConnections}
)

func newFront(cfg engine.Config, log *slog.Logger) *front {
	files := cfg.HandshakeRate
	files.Events *= filesPerPage
	opened := files
	opened.Burst *= filesPerPage
	files.Burst *= filesAtOnce
	return &front{addresses: cfg.Addresses, refusals: engine.NewRefusals(log, cfg.Metrics), files: limit.NewBuckets[netip.Addr](files),
		serving: limit.NewCounts[netip.Addr](cfg.MaxAddressConnections, 0), idle: limit.NewCounts[netip.Addr](cfg.MaxAddressConnections, 0),
		opened: limit.NewBuckets[netip.Addr](opened), mostIdle: cfg.MaxAddressConnections, counted: map[net.Conn]netip.Addr{}}
}

// Guard returns l without the connections that nobody is to see: those of an address that opens too many, or that
// has had more than enough of the processor. They are closed as they come, which costs less than anything else
// that could be done with them. A proxy's are all taken, and all are without MAX_ADDRESS_CONNECTIONS.
func (srv *Server) Guard(l net.Listener) net.Listener {
	if srv.front.mostIdle == 0 {
		return l
	}
	return &guarded{l, srv}
}

type guarded struct {
	net.Listener
	srv *Server
}

// Of connections that nobody is to see some are closed at a time, and then there is a rest. While there is always one
// more to come the scheduler looks only every 10 ms at whether anything has come on those that are served.
const (
	closedAtOnce = 8
	closingRest  = 100 * time.Microsecond
)

// Accept implements net.Listener.
func (g *guarded) Accept() (net.Conn, error) {
	for n := 1; ; n++ {
		runtime.Gosched() // many may come at once
		c, err := g.Listener.Accept()
		if err != nil || g.srv.takes(c) {
			return c, err
		}
		_ = c.Close()
		if n%closedAtOnce == 0 {
			<-time.After(closingRest)
		}
	}
}

// takes reports whether a connection is to be served. If not, that has been noted.
func (srv *Server) takes(c net.Conn) bool {
	f := srv.front
	at, ok := f.addresses.OfPeer(c.RemoteAddr())
	if !ok {
		return true
	}
	switch {
	case srv.engine.IsShutOut(at):
		return false
	case f.opened.Take(at) > 0:
		f.refusals.Note(closedOpened, "from", at)
		return false
	case f.idle.Of(at) >= f.mostIdle:
		f.refusals.Note(closedIdle, "from", at)
		return false
	case srv.engine.Owes(at) > mostOwed:
		f.refusals.Note(closedOwing, "from", at)
		return false
	}
	srv.engine.Spend(at, acceptPrice)
	return true
}

// AwaitConnection waits for the turn of a connection that Guard's listener has returned. A proxy's has none.
func (srv *Server) AwaitConnection(c net.Conn) {
	if at, ok := srv.front.addresses.OfPeer(c.RemoteAddr()); ok {
		srv.engine.Await(at, connectionPrice)
	}
}

// ConnState is for the http.Server that serves a relay: it closes connections on which nothing is asked
// if one address has too many of them. A proxy's are not counted, nor is what has become a WebSocket.
func (srv *Server) ConnState(c net.Conn, state http.ConnState) {
	f := srv.front
	if state != http.StateNew && state != http.StateIdle {
		f.leave(c)
		return
	}
	at, ok := f.addresses.OfPeer(c.RemoteAddr())
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
		srv.engine.AwaitRequest(r)
		srv.engine.Spend(at, filePrice)
		if wait := f.files.Take(at); wait > 0 {
			srv.engine.Charge(at, 1)
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
