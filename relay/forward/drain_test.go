package forward

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"setu/relay/broker"
	"setu/relay/engine"
)

const refused = "this relay is draining"

// A relay that drains has a new client brought to another one, where its session then lives.
func TestNewClientOfDrainingRelay(t *testing.T) {
	f := newFleet()
	one, other := f.join(t, Config{}, engine.Config{}), f.join(t, Config{}, engine.Config{})
	f.others = []broker.Peer{other.Peer}
	if sid := open(t, one.URL, nil); engine.NodeOf(sid) != one.Node {
		t.Errorf("before: %q", sid)
	}
	one.drain()
	sid := open(t, one.URL, nil)
	if engine.NodeOf(sid) != other.Node {
		t.Fatalf("%q", sid)
	}
	for _, r := range []*relay{one, other} {
		if res, body := ask(t, "POST", r.URL+polling+"&sid="+sid, "3", nil); res.StatusCode != 200 || body != "ok" {
			t.Error(res.Status, body)
		}
	}
	for what, request := range map[string][2]string{
		"another method": {"POST", polling},
		"no session":     {"GET", polling + "&sid=nonsense"},
	} {
		before := other.served.count()
		if res, body := ask(t, request[0], one.URL+request[1], "", nil); res.StatusCode != 400 || other.served.count() != before {
			t.Error(what, res.Status, body)
		}
	}
}

// A draining relay's new client is taken by another relay that can take it. At most two are asked,
// each once.
func TestOthersOfDrainingRelay(t *testing.T) {
	f := newFleet()
	dead1, dead2 := dead(t), dead(t)
	live, drains := f.join(t, Config{}, engine.Config{}), f.join(t, Config{}, engine.Config{})
	full := f.join(t, Config{}, engine.Config{MaxConnections: 1})
	open(t, full.URL, nil)
	drains.drain()
	strict := newFleet() // with another secret
	strict.secret = "another"
	stranger := strict.join(t, Config{}, engine.Config{})
	for _, tt := range []struct {
		what   string
		others []broker.Peer
		taken  bool
	}{
		{"none", nil, false},
		{"a live one", []broker.Peer{live.Peer}, true},
		{"without an address", []broker.Peer{{Node: "a"}, {Node: "b"}, {Node: "c"}, live.Peer}, true},
		{"a dead one first", []broker.Peer{dead1, live.Peer}, true},
		{"one that drains, too, first", []broker.Peer{drains.Peer, live.Peer}, true},
		{"a full one first", []broker.Peer{full.Peer, live.Peer}, true},
		{"two in vain", []broker.Peer{full.Peer, drains.Peer, live.Peer}, false},
		{"all dead", []broker.Peer{dead1, dead2}, false},
		{"a bad address", []broker.Peer{{Node: "a", URL: "http://[::1"}, live.Peer}, true},
	} {
		one := f.join(t, Config{}, engine.Config{})
		one.drain()
		f.others = tt.others
		before := drains.served.count()
		sid := open(t, one.URL, nil)
		if tt.taken && engine.NodeOf(sid) != live.Node || !tt.taken && sid != refused {
			t.Errorf("%s: %q", tt.what, sid)
		}
		if n := drains.served.count() - before; n > 1 {
			t.Errorf("%s: one that drains was asked %d times", tt.what, n)
		}
	}
	one := f.join(t, Config{}, engine.Config{})
	one.drain()
	f.others = []broker.Peer{stranger.Peer, live.Peer}
	if sid := open(t, one.URL, nil); !strings.Contains(sid, `"code":4`) {
		t.Errorf("of another fleet: %q", sid)
	}
}

// A relay that could not be dialed is not tried again for a while.
func TestDeadOtherIsRemembered(t *testing.T) {
	f := newFleet()
	one, live := f.join(t, Config{}, engine.Config{}), f.join(t, Config{}, engine.Config{})
	one.drain()
	dead1, dead2, dead3 := dead(t), dead(t), dead(t)
	f.others = []broker.Peer{dead1, dead2, dead3, live.Peer}
	if sid := open(t, one.URL, nil); sid != refused {
		t.Errorf("two are dead, and no third one is asked: %q", sid)
	}
	if sid := open(t, one.URL, nil); engine.NodeOf(sid) != live.Node {
		t.Errorf("the third one and then the live one: %q", sid)
	}
}

// A new client between two relays that drain is forwarded only once.
func TestDrainingRelaysDoNotLoop(t *testing.T) {
	f := newFleet()
	one, other := f.join(t, Config{}, engine.Config{}), f.join(t, Config{}, engine.Config{})
	f.others = []broker.Peer{one.Peer, other.Peer}
	one.drain()
	other.drain()
	if sid := open(t, one.URL, nil); sid != refused {
		t.Errorf("%q", sid)
	}
	if n, m := one.served.count(), other.served.count(); n != 2 || m != 1 {
		t.Errorf("%d and %d requests", n, m)
	}
}

// While the store is unavailable, the relays that were known last are asked.
func TestOthersWithoutTheStore(t *testing.T) {
	f := newFleet()
	one, other := f.join(t, Config{}, engine.Config{}), f.join(t, Config{}, engine.Config{})
	one.drain()
	f.others = []broker.Peer{other.Peer}
	f.setAway(broker.ErrUnavailable)
	if sid := open(t, one.URL, nil); sid != refused {
		t.Errorf("never heard of: %q", sid)
	}
	f.setAway(nil)
	open(t, one.URL, nil)
	f.setAway(broker.ErrUnavailable)
	if sid := open(t, one.URL, nil); engine.NodeOf(sid) != other.Node {
		t.Errorf("known: %q", sid)
	}
	f.setAway(nil)
	f.others = nil
	if sid := open(t, one.URL, nil); sid != refused {
		t.Errorf("gone: %q", sid)
	}
}

// The origin of a new client is judged by the other relay, as if the client had come there.
func TestOriginAtAnotherRelay(t *testing.T) {
	f := newFleet()
	one := f.join(t, Config{}, engine.Config{})
	allowed, err := engine.ParseOrigins([]string{"https://page.example"})
	if err != nil {
		t.Fatal(err)
	}
	other := f.join(t, Config{}, engine.Config{AllowedOrigins: allowed})
	one.drain()
	f.others = []broker.Peer{other.Peer}
	for origin, status := range map[string]int{"https://page.example": 200, one.URL: 200, "https://evil.example": 403} {
		res, body := ask(t, "GET", one.URL+polling, "", http.Header{"Origin": {origin}})
		if res.StatusCode != status || status == 200 && len(res.Header.Values("Access-Control-Allow-Origin")) > 1 {
			t.Error(origin, res.Status, res.Header, body)
		}
	}
}

// A new client is refused if its hop is cut before the other relay has answered.
func TestNewClientWhenHopsAreCut(t *testing.T) {
	f := newFleet()
	one := f.join(t, Config{}, engine.Config{})
	asked := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer silent.Close()
	one.drain()
	f.others = []broker.Peer{{Node: "silent", URL: silent.URL}}
	var closing sync.WaitGroup
	closing.Go(func() { <-asked; one.Close() })
	if got := open(t, one.URL, nil); got != refused {
		t.Errorf("%q", got)
	}
	closing.Wait()
}
