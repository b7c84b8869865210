package forward

import (
	"testing"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// What comes of a request that is another relay's is counted where it came first.
func TestForwardsAreCounted(t *testing.T) {
	f := newFleet()
	m := metrics.New()
	live := f.join(t, Config{}, engine.Config{})
	full := f.join(t, Config{}, engine.Config{MaxConnections: 1})
	open(t, full.URL, nil)
	one := f.join(t, Config{Metrics: m}, engine.Config{Metrics: m})
	gone := dead(t)
	f.peers[gone.Node] = gone
	sid := open(t, live.URL, nil)
	ask(t, "POST", one.URL+polling+"&sid="+sid, "3", nil)
	for range 2 { // the second is not tried
		ask(t, "POST", one.URL+polling+"&sid=secret."+gone.Node, "3", nil)
	}
	ask(t, "GET", one.URL+polling, "", map[string][]string{signatureHeader: {"forged"}})
	one.drain()
	f.others = []broker.Peer{full.Peer, {Node: "a", URL: "http://[::1"}, live.Peer}
	open(t, one.URL, nil)
	f.others = []broker.Peer{full.Peer, live.Peer}
	open(t, one.URL, nil)
	got := wiretest.Series(t, m.Handler())
	for series, want := range map[string]float64{
		`setu_forwards_total{mode="proxy",result="ok"}`:                2,
		`setu_forwards_total{mode="proxy",result="unreachable"}`:       1,
		`setu_forwards_total{mode="proxy",result="refused"}`:           2,
		`setu_forwards_total{mode="proxy",result="failed"}`:            1,
		`setu_refusals_total{limit="unreachable"}`:                     1,
		`setu_refusals_total{limit="signature"}`:                       1,
		`setu_handshakes_total{result="draining",transport="polling"}`: 1,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
	}
}

// A WebSocket that goes through this relay is counted when it is open, not when it ends.
func TestForwardOfAWebSocketIsCounted(t *testing.T) {
	f := newFleet()
	m := metrics.New()
	live, one := f.join(t, Config{}, engine.Config{}), f.join(t, Config{Metrics: m}, engine.Config{})
	sid := open(t, live.URL, nil)
	if res, _ := ask(t, "GET", one.URL+"/?EIO=4&transport=websocket&sid="+sid, "", webSocket()); res.StatusCode != 101 {
		t.Fatal(res.Status)
	}
	if n := wiretest.Series(t, m.Handler())[`setu_forwards_total{mode="proxy",result="ok"}`]; n != 1 {
		t.Errorf("%v forwards", n)
	}
}

func TestReplaysAreCounted(t *testing.T) {
	f := newFleet()
	m := metrics.New()
	cfg := fly(Auto, "m1")
	cfg.Metrics = m
	one, other := f.join(t, cfg, engine.Config{}), f.join(t, fly(Auto, "m2"), engine.Config{})
	sid := open(t, other.URL, nil)
	if res, _ := ask(t, "GET", one.URL+polling+"&sid="+sid, "", nil); res.StatusCode != 409 {
		t.Fatal(res.Status)
	}
	if n := wiretest.Series(t, m.Handler())[`setu_forwards_total{mode="fly-replay",result="ok"}`]; n != 1 {
		t.Errorf("%v replays", n)
	}
}

// A page of another site may read why it is refused, wherever that is said.
func TestPageReadsThatItsRelayIsGone(t *testing.T) {
	f := newFleet()
	const site = "https://shop.example"
	allowed, err := engine.ParseOrigins([]string{site})
	if err != nil {
		t.Fatal(err)
	}
	one := f.join(t, Config{}, engine.Config{AllowedOrigins: allowed})
	gone := dead(t)
	f.peers[gone.Node] = gone
	for _, what := range []string{"tried", "known"} {
		res, _ := ask(t, "POST", one.URL+polling+"&sid=secret."+gone.Node, "3", map[string][]string{"Origin": {site}})
		if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != 400 || got != site {
			t.Errorf("%s: %s, for %q", what, res.Status, got)
		}
	}
}
