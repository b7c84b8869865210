package engine

import (
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"setu/relay/limit"
	"setu/relay/metrics"
)

// Limits of what clients may do. What is too often is refused, and the client is told how long to wait:
// here by 429 with Retry-After, by those above in their own words. A client that goes on all the same
// is closed with closePolicy, and its address pays for it (closePenalty).

// Refusals for a limit.
var (
	refusedHandshake  = Refusal{slog.LevelInfo, "refused a client: more than HANDSHAKE_RATE from its address", metrics.LimitAddressHandshakes}
	refusedHandshakes = Refusal{slog.LevelWarn, "refused a client: more than HANDSHAKES_RATE in all", metrics.LimitHandshakes}
	refusedAddress    = Refusal{slog.LevelInfo, "refused a client: MAX_ADDRESS_CONNECTIONS are connected from its address", metrics.LimitAddressConnections}
	refusedWaiting    = Refusal{slog.LevelWarn, "refused a client: MAX_UNCONNECTED have not sent a CONNECT yet", metrics.LimitUnconnected}
	refusedDebtor     = Refusal{slog.LevelInfo, "closed a connection unread: its address owes more than half of a burst of HANDSHAKE_RATE, for clients that were closed for excess", metrics.LimitAddressHandshakes}
	closedForExcess   = Refusal{slog.LevelInfo, "closed a client that goes on with what is refused", metrics.LimitExcess}
	closedForFlood    = Refusal{slog.LevelInfo, "closed a client of which more waits than it may send", metrics.LimitExcess}
)

// refusedRates are the refusals for the rates of one connection.
var refusedRates = [...]Refusal{
	limit.Publish: {slog.LevelInfo, "refused a client: more than PUBLISH_RATE", metrics.LimitRate},
	limit.Signal:  {slog.LevelInfo, "refused a client: more than SIGNAL_RATE", metrics.LimitRate},
	limit.Join:    {slog.LevelInfo, "refused a client: more than JOIN_RATE", metrics.LimitRate},
	limit.History: {slog.LevelInfo, "refused a client: more than HISTORY_RATE", metrics.LimitRate},
	limit.Event:   {slog.LevelInfo, "refused a client: more than EVENT_RATE", metrics.LimitRate},
	limit.Bytes:   {slog.LevelInfo, "refused a client: more than BYTES_RATE", metrics.LimitBytes},
}

const (
	// excessReason is told to a client that is closed for excess.
	excessReason = "rate_limited: it went on with what was refused"
	// floodReason is told to a client of which more waits than it may send.
	floodReason = "rate_limited: it sent more than its limits allow, and its address has no time left for that"
	// closePenalty is how many handshakes an address pays for a client that was closed for excess:
	// else one that comes back at once would have a burst of everything each time.
	closePenalty = 20
	// addressShare is the part of MaxUnconnected that one address may have: 1/4.
	addressShare = 4
	// countRetry is how long a client is told to wait that is one too many: others leave when they do.
	countRetry = 5 * time.Second
	// wrapping is about how many bytes come with an event beside its arguments.
	wrapping = 128
	// lateBytes is how much is read of a client that has been closed.
	lateBytes = 256 << 10
	// shedTimeout is how long a client that is closed for excess may take to read why.
	shedTimeout = time.Second
)

// limits are those over all sessions.
type limits struct {
	handshakes    *limit.Buckets[netip.Addr]
	allHandshakes *limit.Buckets[struct{}]
	connections   *limit.Counts[netip.Addr]
	unconnected   *limit.Counts[netip.Addr]
	turns         *limit.Turns[netip.Addr] // nil: connections of an address are not bounded
}

func newLimits(cfg *Config) limits {
	l := limits{
		handshakes:    limit.NewBuckets[netip.Addr](cfg.HandshakeRate),
		allHandshakes: limit.NewBuckets[struct{}](cfg.HandshakesRate),
		connections:   limit.NewCounts[netip.Addr](cfg.MaxAddressConnections, 0),
		unconnected:   limit.NewCounts[netip.Addr]((cfg.MaxUnconnected+addressShare-1)/addressShare, cfg.MaxUnconnected),
	}
	if cfg.MaxAddressConnections > 0 {
		l.turns = limit.NewTurns[netip.Addr]()
	}
	return l
}

// IsShutOut reports whether an address has had so many clients closed for excess that nothing of it is to be
// read for a while. It has been noted then. An address that has a crowd of other clients may be a proxy's
// that nobody has named in TRUSTED_PROXIES: what it asks is answered.
func (srv *Server) IsShutOut(at netip.Addr) bool {
	is := srv.limits.handshakes.IsDeepInDebt(at) && srv.limits.connections.Of(at) < limit.Crowd
	if is {
		srv.refusals.Note(refusedDebtor, "from", at)
	}
	return is
}

// Charge has an address pay n handshakes for what was refused to it elsewhere.
func (srv *Server) Charge(at netip.Addr, n int) { srv.limits.handshakes.Debit(at, n) }

// excessError is the error of a request that is one too many.
type excessError struct {
	kind Refusal
	wait time.Duration
}

func (e *excessError) Error() string { return e.kind.Text }

// admit counts a session from an address. What refuses one address is asked first: it takes nothing
// from the others.
func (l *limits) admit(at netip.Addr) error {
	if wait := l.handshakes.Take(at); wait > 0 {
		return &excessError{refusedHandshake, wait}
	}
	if !l.connections.Add(at) {
		return &excessError{refusedAddress, countRetry}
	}
	if !l.unconnected.Add(at) {
		l.connections.Remove(at)
		return &excessError{refusedWaiting, countRetry}
	}
	if wait := l.allHandshakes.Take(struct{}{}); wait > 0 {
		l.release(at, true)
		return &excessError{refusedHandshakes, wait}
	}
	return nil
}

// release undoes admit. waiting says that the client has not sent a CONNECT.
func (l *limits) release(at netip.Addr, waiting bool) {
	l.connections.Remove(at)
	if waiting {
		l.unconnected.Remove(at)
	}
}

// noteConnected says that the client has sent a CONNECT that was taken.
func (s *Session) noteConnected() {
	if s.waiting.CompareAndSwap(true, false) {
		s.srv.limits.unconnected.Remove(s.address)
	}
}

// Address returns the address by which the client of a request is limited: limit.Key of Client.
func (srv *Server) Address(r *http.Request) netip.Addr { return limit.Key(srv.Client(r)) }

// Client returns the address of the client of a request.
func (srv *Server) Client(r *http.Request) netip.Addr {
	if f, ok := r.Context().Value(forwardedKey{}).(netip.Addr); ok && f.IsValid() {
		return f
	}
	return srv.cfg.Addresses.Client(r)
}

// refuseExcess answers a request that is one too many. The connection ends with the answer.
func refuseExcess(w http.ResponseWriter, wait time.Duration) {
	ms := wait.Milliseconds()
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte(`{"code":"rate_limited","message":"too many requests: wait ` + strconv.FormatInt(ms, 10) +
		` ms","retry":` + strconv.FormatInt(ms, 10) + `}`))
}

// isExcess refuses a request that is no good if its address sends too many such: each counts as a
// handshake.
func (srv *Server) isExcess(w http.ResponseWriter, r *http.Request) bool {
	wait := srv.limits.handshakes.Take(srv.Address(r))
	if wait > 0 {
		srv.Refused(refusedHandshake, r)
		refuseExcess(w, wait)
	}
	return wait > 0
}

// TakeHandshake takes what a handshake costs the client's address, for what costs as much here, or returns
// how long it is to wait: then it is to be refused, and has been noted.
func (s *Session) TakeHandshake() (wait time.Duration) {
	if wait = s.srv.limits.handshakes.Take(s.address); wait > 0 {
		s.ExcessOf(refusedHandshake)
	}
	return wait
}

// Take takes one token of the client's for something that it does, or returns how long it is to wait
// for one: then it is to be refused, and Excess be told.
func (s *Session) Take(k limit.Kind) (wait time.Duration) {
	if wait = s.allowance.Take(k); wait == 0 {
		s.spend(kindPrice[k])
	}
	return wait
}

// Overdrawn returns zero unless the client has sent more bytes than it may: what it asks is to be refused
// then. It returns how long it is until what it asks, of size bytes, may come again.
func (s *Session) Overdrawn(size int) (wait time.Duration) {
	return s.allowance.Wait(limit.Bytes, size+wrapping)
}

// MayTell reports whether the client may be told of a fault for which it has not asked: only a few
// times a second.
func (s *Session) MayTell() bool { return s.allowance.MayTell() }

// Excess notes that the client was refused something, for the rate of its connection.
func (s *Session) Excess(k limit.Kind) { s.ExcessOf(refusedRates[k]) }

// ExcessOf notes that the client was refused something for a limit. If that happens too often, the
// client is closed.
func (s *Session) ExcessOf(kind Refusal) {
	s.Refused(kind)
	if s.allowance.Refused() {
		s.shed()
	}
}

// shed closes a client that does not look at what it is told. A stock client comes back.
func (s *Session) shed() { s.shedAs(closedForExcess, excessReason) }

// shedFlood closes a client that would be shed if all that it has sent had been taken.
func (s *Session) shedFlood() { s.shedAs(closedForFlood, floodReason) }

func (s *Session) shedAs(kind Refusal, reason string) {
	if s.isEnded() {
		return
	}
	s.Refused(kind)
	s.srv.limits.handshakes.Debit(s.address, closePenalty)
	s.close(closePolicy, reason, false)
}

// received counts bytes that came from the client, whatever they are. It reports false if nothing more
// of it is to be read: it was closed for excess, or goes on sending after another close. Of what is too
// large the rest is read past.
func (s *Session) received(n int) (ok bool) { return s.receivedFramed(n, 0) }

// receivedFramed is received for bytes of which the framing counts for so many more.
func (s *Session) receivedFramed(n, framing int) (ok bool) {
	s.spend(time.Duration(n) * bytePrice)
	if s.allowance.Debit(limit.Bytes, n+framing) {
		s.shed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || s.code == closeTooLarge {
		return true
	}
	s.late += n
	return s.code != closePolicy && s.late <= lateBytes
}

// takePacket takes a token for a packet that asks for nothing. It reports false if there was none.
func (s *Session) takePacket() bool {
	ok := s.Take(limit.Event) == 0
	if !ok {
		s.Excess(limit.Event)
	}
	return ok
}
