package forward

import (
	"net/http"
	"slices"

	"setu/relay/broker"
	"setu/relay/engine"
)

// A client may want to be served in a region, whichever relay its request has reached: it says so by a
// parameter of the request's query that opens its session. A browser can set no header on a WebSocket,
// and so not Fly's fly-prefer-region.
//
// It is a wish. It is met by one step, a replay or a hop, and what has taken that is served where it is;
// so is what wants a region in which no relay takes it. The client learns by welcome where it is.

// regionParameter names the region that a client wants to be served in.
const regionParameter = "region"

// maxRegionHops bounds the hops, at a time, that are there because a client wants another region: of those
// of WebSockets each lasts as long as its session. Past that clients are served here.
const maxRegionHops = 1024

// wants returns the region in which a request is to be served; empty: any.
func wants(r *http.Request) string { return engine.Param(r, regionParameter) }

// isElsewhere reports whether a client wants to be served in another region than this relay's.
func (f *Forwarder) isElsewhere(r *http.Request) bool {
	region := wants(r)
	return region != "" && region != f.cfg.Region && !f.cameByReplay(r)
}

// cameByReplay reports whether Fly's proxy has brought r here, or back.
func (f *Forwarder) cameByReplay(r *http.Request) bool { return f.onFly() && replayed(r) }

// toRegion brings r, which opens a session, to a relay of the region that it wants. If none of them takes it,
// it is served here.
func (f *Forwarder) toRegion(w http.ResponseWriter, r *http.Request) {
	if f.regionHops.Add(1) <= maxRegionHops {
		defer f.regionHops.Add(-1)
		f.toAnother(w, r, inRegion(f.findOthers(r.Context()), wants(r)))
		return
	}
	f.regionHops.Add(-1)
	f.engine.ServeHTTP(w, r)
}

// inRegion returns those of relays that are in a region.
func inRegion(relays []broker.Peer, region string) []broker.Peer {
	return slices.DeleteFunc(relays, func(p broker.Peer) bool { return p.Region != region })
}

// regionFirst returns relays, those of a region before the others.
func regionFirst(relays []broker.Peer, region string) []broker.Peer {
	slices.SortStableFunc(relays, func(a, b broker.Peer) int {
		switch is, other := a.Region == region, b.Region == region; {
		case is == other:
			return 0
		case is:
			return -1
		}
		return 1
	})
	return relays
}
