package forward

import (
	"net/http"
	"testing"

	"setu/relay/broker"
	"setu/relay/engine"
)

// in is a relay of a region.
func (f *fleet) in(t *testing.T, region string, cfg Config) *relay {
	t.Helper()
	cfg.Region = region
	r := f.join(t, cfg, engine.Config{})
	r.Place = broker.Place{Region: region}
	f.others = append(f.others, r.Peer)
	return r
}

const webSocketPath = "/socket.io/?EIO=4&transport=websocket"

// A client is served in the region that it wants, and where it came to if there is no relay of that, or none
// that takes it.
func TestRegion(t *testing.T) {
	f := newFleet()
	fra, nrt := f.in(t, "fra", Config{}), f.in(t, "nrt", Config{})
	gone := dead(t)
	gone.Region = "syd"
	f.others = append(f.others, gone)
	off := f.in(t, "sin", Config{Mode: Off})
	for _, tt := range []struct {
		what, region string
		from, to     *relay
	}{
		{"none is wanted", "", fra, fra},
		{"its own", "fra", fra, fra},
		{"another", "nrt", fra, nrt},
		{"the other way", "fra", nrt, fra},
		{"nobody is there", "gru", fra, fra},
		{"who is there is dead", "syd", fra, fra},
		{"it may bring nobody anywhere", "nrt", off, off},
	} {
		if sid := openWith(t, tt.from.URL, "&region="+tt.region, nil); engine.NodeOf(sid) != tt.to.Node {
			t.Errorf("%s: %q", tt.what, sid)
		}
		before := tt.to.served.count()
		res, _ := ask(t, "GET", tt.from.URL+webSocketPath+"&region="+tt.region, "", webSocket())
		if res.StatusCode != http.StatusSwitchingProtocols || tt.to.served.count() != before+1 {
			t.Errorf("%s: over a WebSocket %s, and %d requests came there", tt.what, res.Status, tt.to.served.count()-before)
		}
	}
}

// What was brought to a region stays there, whatever the regions are called: two relays that are mistaken about
// each other send nobody back and forth.
func TestRegionNeverLoops(t *testing.T) {
	f := newFleet()
	one, other := f.in(t, "fra", Config{}), f.in(t, "nrt", Config{})
	for i := range f.others { // as neither of them is
		f.others[i].Region = "gru"
	}
	f.others = f.others[1:]
	if sid := openWith(t, one.URL, "&region=gru", nil); engine.NodeOf(sid) != other.Node {
		t.Fatalf("%q", sid)
	}
	if a, b := one.served.count(), other.served.count(); a != 1 || b != 1 {
		t.Errorf("%d and %d requests", a, b)
	}
}

// On Fly a polling request is replayed, once; a WebSocket takes a hop.
func TestRegionOnFly(t *testing.T) {
	f := newFleet()
	one := f.in(t, "fra", fly(Auto, "m1"))
	other := f.in(t, "nrt", fly(Auto, "m2"))
	f.others = []broker.Peer{other.Peer}
	replayed, failed := http.Header{"Fly-Replay-Src": {"instance=m3;region=cdg"}}, http.Header{"Fly-Replay-Failed": {"why=timeout"}}
	for _, tt := range []struct {
		what, path string
		header     http.Header
		way        string
		status     int
	}{
		{"polling", polling, nil, toM2, 409},
		{"polling, replayed", polling, replayed, "", 200},
		{"polling, replayed in vain", polling, failed, "", 200},
		{"a WebSocket", webSocketPath, webSocket(), toAnyOne, 101},
		{"a WebSocket, replayed", webSocketPath, webSocket("Fly-Replay-Src", "instance=m3"), "", 101},
	} {
		before := other.served.count()
		res, _ := ask(t, "GET", one.URL+tt.path+"&region=nrt", "", tt.header)
		if got := way(res, other.served.count()-before); got != tt.way || res.StatusCode != tt.status {
			t.Errorf("%s: %q, %s", tt.what, got, res.Status)
		}
	}
}

// A relay that drains brings its new clients to where they want to be, if it can.
func TestRegionOfDrainingRelay(t *testing.T) {
	f := newFleet()
	one := f.in(t, "fra", Config{})
	f.in(t, "sin", Config{})
	nrt := f.in(t, "nrt", Config{})
	f.others = f.others[1:]
	one.drain()
	for range 4 {
		if sid := openWith(t, one.URL, "&region=nrt", nil); engine.NodeOf(sid) != nrt.Node {
			t.Errorf("%q", sid)
		}
	}
}

// So many hops are spent on wishes, and no more.
func TestRegionHopsAreBounded(t *testing.T) {
	f := newFleet()
	one := f.in(t, "fra", Config{})
	f.in(t, "nrt", Config{})
	one.regionHops.Store(maxRegionHops)
	if sid := openWith(t, one.URL, "&region=nrt", nil); engine.NodeOf(sid) != one.Node {
		t.Errorf("%q", sid)
	}
	if n := one.regionHops.Load(); n != maxRegionHops {
		t.Errorf("%d hops are counted", n)
	}
}
