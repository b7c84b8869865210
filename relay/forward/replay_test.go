package forward

import (
	"net/http"
	"testing"

	"setu/relay/broker"
	"setu/relay/engine"
)

const (
	toM2      = "instance=m2;timeout=2s;fallback=prefer_self"
	elsewhere = "elsewhere=true;timeout=2s;fallback=prefer_self"
	toAnyOne  = "a hop to the other relay"
	unknown   = `{"code":1,"message":"Session ID unknown"}`
)

func fly(mode, machine string) Config { return Config{Mode: mode, Machine: machine} }

// webSocket returns the headers of a WebSocket's handshake, and the given ones.
func webSocket(pairs ...string) http.Header {
	h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// way returns how a request got its answer: what Fly's proxy was told, or that a hop brought it to
// another relay.
func way(res *http.Response, hops int) string {
	switch {
	case res.Header.Get("Fly-Replay") != "":
		return res.Header.Get("Fly-Replay")
	case hops > 0:
		return toAnyOne
	}
	return ""
}

// On Fly a request gets to its session's relay by a replay, and an upgrade by a hop. A request
// whose replay has failed is refused.
func TestWayToOwnerOnFly(t *testing.T) {
	failed, replayed := http.Header{"Fly-Replay-Failed": {"why=timeout"}}, http.Header{"Fly-Replay-Src": {"instance=m3;region=cdg"}}
	for _, tt := range []struct {
		what      string
		cfg       Config
		transport string
		header    http.Header
		way       string
		status    int
	}{
		{"polling", fly(Auto, "m1"), "polling", nil, toM2, 409},
		{"polling, told to replay", fly(Replay, "m1"), "polling", nil, toM2, 409},
		{"polling, told to hop", fly(Proxy, "m1"), "polling", nil, toAnyOne, 200},
		{"polling, told to stay", fly(Off, "m1"), "polling", nil, "", 400},
		{"an upgrade", fly(Auto, "m1"), "websocket", webSocket(), toAnyOne, 101},
		{"an upgrade, told to replay", fly(Replay, "m1"), "websocket", webSocket(), toAnyOne, 101},
		{"by another app's replay", fly(Auto, "m1"), "polling", replayed, toM2, 409},
		{"replayed in vain", fly(Auto, "m1"), "polling", failed, "", 400},
		{"replayed in vain, told to replay", fly(Replay, "m1"), "polling", failed, "", 400},
		{"as if in vain, told to hop", fly(Proxy, "m1"), "polling", failed, toAnyOne, 200},
		{"as if in vain, not on Fly", fly(Auto, ""), "polling", failed, toAnyOne, 200},
		{"told to replay, not on Fly", fly(Replay, ""), "polling", nil, "", 400},
		{"an upgrade, told to replay, not on Fly", fly(Replay, ""), "websocket", webSocket(), "", 400},
	} {
		f := newFleet()
		one, home := f.join(t, tt.cfg, engine.Config{}), f.join(t, fly(Auto, "m2"), engine.Config{})
		sid := open(t, home.URL, nil)
		before := home.served.count()
		method := "POST"
		if tt.transport == "websocket" {
			method = "GET"
		}
		body := map[string]string{"POST": "3"}[method]
		res, text := ask(t, method, one.URL+"/?EIO=4&transport="+tt.transport+"&sid="+sid, body, tt.header)
		if got := way(res, home.served.count()-before); got != tt.way || res.StatusCode != tt.status || tt.status == 400 && text != unknown {
			t.Errorf("%s: %q, %s, %s", tt.what, got, res.Status, text)
		}
	}
}

// A request that returns from a failed replay to the relay that it was for is served there.
func TestReplayThatFailedToItsOwner(t *testing.T) {
	f := newFleet()
	one := f.join(t, fly(Auto, "m1"), engine.Config{})
	sid := open(t, one.URL, http.Header{"Fly-Replay-Failed": {"why=timeout"}})
	if res, body := ask(t, "POST", one.URL+polling+"&sid="+sid, "3", http.Header{"Fly-Replay-Failed": {"why=timeout"}}); body != "ok" {
		t.Error(res.Status, body)
	}
}

// webSocketBy returns the headers of a WebSocket's handshake that a proxy has brought.
func webSocketBy(header string) http.Header {
	h := webSocket()
	h.Set(header, "proxy")
	return h
}

// On Fly a new client gets from a relay that drains to another, by a replay or by a hop.
func TestWayToAnotherOnFly(t *testing.T) {
	for _, tt := range []struct {
		what      string
		cfg       Config
		transport string
		header    http.Header
		others    int // relays that take new clients
		way       string
		status    int
	}{
		{"polling", fly(Auto, "m1"), "polling", nil, 1, elsewhere, 409},
		{"polling, told to replay", fly(Replay, "m1"), "polling", nil, 1, elsewhere, 409},
		{"polling, told to hop", fly(Proxy, "m1"), "polling", nil, 1, toAnyOne, 200},
		{"polling, told to stay", fly(Off, "m1"), "polling", nil, 1, "", 503},
		{"polling, all others drain", fly(Auto, "m1"), "polling", nil, 0, "", 503},
		{"from another that drains", fly(Auto, "m1"), "polling", http.Header{"Fly-Replay-Src": {"instance=m3"}}, 1, toAnyOne, 200},
		{"from another, told to replay", fly(Replay, "m1"), "polling", http.Header{"Fly-Replay-Src": {"instance=m3"}}, 1, "", 503},
		{"replayed in vain", fly(Auto, "m1"), "polling", http.Header{"Fly-Replay-Failed": {"why=timeout"}}, 1, toAnyOne, 200},
		{"a WebSocket", fly(Auto, "m1"), "websocket", webSocketBy("Via"), 1, toAnyOne, 101},
		{"a WebSocket, told to replay", fly(Replay, "m1"), "websocket", webSocketBy("X-Forwarded-For"), 1, toAnyOne, 101},
		{"a WebSocket, all others drain", fly(Auto, "m1"), "websocket", webSocketBy("Forwarded"), 0, "", 503},
		{"a WebSocket by no proxy", fly(Auto, "m1"), "websocket", webSocket(), 1, "", 503},
		{"not on Fly", fly(Auto, ""), "polling", nil, 1, toAnyOne, 200},
	} {
		f := newFleet()
		one, other := f.join(t, tt.cfg, engine.Config{}), f.join(t, fly(Auto, "m2"), engine.Config{})
		f.others = []broker.Peer{other.Peer}[:tt.others]
		one.drain()
		res, text := ask(t, "GET", one.URL+"/?EIO=4&transport="+tt.transport, "", tt.header)
		if got := way(res, other.served.count()); got != tt.way || res.StatusCode != tt.status {
			t.Errorf("%s: %q, %s, %s", tt.what, got, res.Status, text)
		}
	}
}
