package engine

import (
	"net/http"
	"net/netip"
	"time"

	"setu/relay/engineio"
	"setu/relay/limit"
)

// Turns. Limits bound what a client may do in the long run, but not what hundreds of an address may do in one
// moment: all of them have their bursts, and who talks beside them waits until these are served. So an address
// has a part of a processor's time (limit.Turns), and what it sends beyond that is left where it is, in the
// sockets, until it has paid for what was read before: by these prices, which are about what things cost.
//
// A reader waits before it reads, and before each packet more of what it has read; a request before it is
// looked at. Nobody waits for more than a second at a time, nor holds anything meanwhile that another address
// needs. Without MAX_ADDRESS_CONNECTIONS nothing waits, nor does what has no address.
const (
	packetPrice  = 25 * time.Microsecond  // a packet and its answer
	readPrice    = 10 * time.Microsecond  // from a socket
	bytePrice    = time.Nanosecond        // a byte that came, or that was asked for
	partPrice    = time.Nanosecond        // beside that, for one of a large message
	parsePrice   = 2 * time.Nanosecond    // beside that, for one that is parsed
	framePrice   = time.Microsecond       // a fragment, which is no packet
	requestPrice = 100 * time.Microsecond // by HTTP, and its answer
	openPrice    = 400 * time.Microsecond // a session, with its end
	upgradePrice = 200 * time.Microsecond // beside its request: another transport for a session
	joinPrice    = 100 * time.Microsecond // beside its packet: others are told
	listPrice    = 100 * time.Microsecond // beside its packet: of messages or members
)

// kindPrice is what a packet costs beside packetPrice.
var kindPrice = [...]time.Duration{limit.Join: joinPrice, limit.History: listPrice, limit.Bytes: 0}

// Spend has an address pay for something that is not to wait.
func (srv *Server) Spend(at netip.Addr, price time.Duration) { srv.limits.turnOf(at).Take(nil, price) }

// Owes returns for how long what an address wants would wait now.
func (srv *Server) Owes(at netip.Addr) time.Duration { return srv.limits.turnOf(at).Owed() }

// AwaitRequest waits for a request's turn.
func (srv *Server) AwaitRequest(r *http.Request) {
	srv.limits.turnOf(srv.Address(r)).Await(nil, requestPrice)
}

// Await waits for the turn of something else that an address wants.
func (srv *Server) Await(at netip.Addr, price time.Duration) { srv.limits.turnOf(at).Await(nil, price) }

// PayFor has the client's address pay for a frame that is sent because the client has asked for it.
func (s *Session) PayFor(f *engineio.Frame) { s.spend(time.Duration(f.Size()) * bytePrice) }

// PayForParsing has the client's address pay for a message of this size that is parsed.
func (s *Session) PayForParsing(size int) { s.spend(time.Duration(size) * parsePrice) }

func (s *Session) awaitTurn(price time.Duration) (waited bool) { return s.turn.Await(&s.flow, price) }

// spend has the session's address pay for what the session has had done.
func (s *Session) spend(price time.Duration) { s.turn.Take(&s.flow, price) }

// turnOf returns an address' account, or nil.
func (l *limits) turnOf(at netip.Addr) *limit.Turn {
	if l.turns == nil || !at.IsValid() {
		return nil
	}
	return l.turns.Of(at)
}

// enterTurn returns an address' account for a session, or nil.
func (l *limits) enterTurn(at netip.Addr) *limit.Turn {
	if l.turns == nil || !at.IsValid() {
		return nil
	}
	return l.turns.Enter(at)
}
