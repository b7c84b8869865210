package relay

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"setu/relay/auth"
	"setu/relay/limit"
	"setu/relay/metrics"
)

// newestReader reads the newest messages of rooms for their pages, and bounds that: whoever asks for a
// page has shown nothing yet.
type newestReader struct {
	// immutable
	addresses limit.Addresses
	asked     *limit.Buckets[netip.Addr] // reads of one address
	reading   chan struct{}              // reads under way
}

const (
	newestMessages = 20
	newestPatience = 150 * time.Millisecond // how long a page may wait for its messages; else it comes without
	newestAtOnce   = 16                     // reads, of all addresses
)

func newNewestReader(addresses limit.Addresses, each limit.Rate) *newestReader {
	return &newestReader{addresses: addresses, asked: limit.NewBuckets[netip.Addr](each), reading: make(chan struct{}, newestAtOnce)}
}

// Newest returns the newest messages of a room for its page, as the API lists them: what guests may read
// without being asked anything. It returns nil if they may not, or the messages can't be had at once, or
// more are asked for than HISTORY_RATE by one address.
func (srv *Server) Newest(r *http.Request, room string) []byte {
	if !srv.isPublic(room) || srv.newest.asked.Take(srv.newest.addresses.Of(r)) > 0 {
		return nil
	}
	select {
	case srv.newest.reading <- struct{}{}:
		defer func() { <-srv.newest.reading }()
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), newestPatience)
	defer cancel()
	page, err := srv.root.History(ctx, room, "", newestMessages)
	if err != nil {
		return nil
	}
	return page.Messages
}

// isPublic reports whether every guest may enter a room and read its history. Where an app is asked who may
// come in, nobody may before it has answered.
func (srv *Server) isPublic(room string) bool {
	rooms, admitted := srv.auth.Guests()
	return admitted && rooms.Of(room).Has(auth.Join|auth.History) &&
		!srv.hooks.Asks(metrics.HookConnect) && !srv.hooks.Asks(metrics.HookJoin)
}
