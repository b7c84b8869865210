package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/wiretest"
)

// A client whose requests reach another relay each time is served by its own, through its whole
// life.
func TestWrongRelay(t *testing.T) {
	d := newDirectory()
	home, homeURL := d.join(t)
	_, one := d.join(t)
	_, two := d.join(t)
	sid := sidOf(t, homeURL)
	if res, body := request(t, t.Context(), "POST", one+polling+"&sid="+sid, "40"); res.StatusCode != 200 || body != "ok" {
		t.Fatal(res.Status, body)
	}
	got := ""
	for !strings.Contains(got, `42["welcome"`) {
		res, body := request(t, t.Context(), "GET", two+polling+"&sid="+sid, "")
		if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-store" {
			t.Fatal(res.Status, body)
		}
		got += body
	}
	address := strings.TrimPrefix(two, "http://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := wiretest.UpgradeTo(t, c, sid)
	p.Text("2probe")
	p.Expect("3probe")
	p.Text("5", `421["join",{"room":"room"}]`)
	if s := p.Packet(); !strings.HasPrefix(s, `431[{"ok":true,"room":"room"`) {
		t.Error(s)
	}
	if n := home.srv.engine.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if res, body := request(t, t.Context(), "GET", one+polling+"&sid="+sid, ""); res.StatusCode != 400 || !strings.Contains(body, `"code":3`) {
		t.Error("polling after the upgrade: ", res.Status, body)
	}
	p.Text("1")
	p.Closed()
}

// If the right relay is gone, the client hears so at once, and the others don't try it again and
// again.
func TestRightRelayIsGone(t *testing.T) {
	d := newDirectory()
	r, url := d.join(t)
	nowhere, release, err := wiretest.HoldPort() // nobody listens there
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	dead := engine.NewNode()
	d.set(func(d *directory) { d.peers[dead] = broker.Peer{Node: dead, URL: "http://" + nowhere} })
	for i, sid := range []string{"secret." + dead, "secret." + dead, "secret." + engine.NewNode(), "secret." + r.cfg.Node, "secret", "a.b.c", "secret." + strings.Repeat("x", 5000)} {
		res, body := request(t, t.Context(), "GET", url+polling+"&sid="+sid, "")
		if res.StatusCode != 400 || body != wiretest.UnknownSID {
			t.Error(i, res.Status, body)
		}
	}
	if d.asked != 2 { // for the dead one once, for the one that nobody knows
		t.Errorf("the directory was asked %d times", d.asked)
	}
	for _, want := range []string{"level=WARN", "its relay cannot be reached", "relay=http://" + nowhere, "dial tcp"} {
		if !r.log.Has(want) {
			t.Errorf("no %s in the log", want)
		}
	}
	if r.log.Has("secret") {
		t.Error("a secret is in the log")
	}
}

// Without the store, a relay uses what it knew of the others.
func TestForwardWithoutTheStore(t *testing.T) {
	d := newDirectory()
	_, home := d.join(t)
	_, other := d.join(t)
	sid := sidOf(t, home)
	post := func() string {
		_, body := request(t, t.Context(), "POST", other+polling+"&sid="+sid, "3")
		return body
	}
	d.set(func(d *directory) { d.down = true })
	if got := post(); got != wiretest.UnknownSID {
		t.Error("never heard of, and the store is away: ", got)
	}
	d.set(func(d *directory) { d.down = false })
	if got := post(); got != "ok" {
		t.Error(got)
	}
	d.set(func(d *directory) { d.down = true })
	if got := post(); got != "ok" {
		t.Error("known, and the store is away: ", got)
	}
	d.set(func(d *directory) { d.down = false; clear(d.peers) })
	if got := post(); got != "ok" {
		t.Error("known, and the store has been emptied: ", got)
	}
}

// While the store is known to be unavailable, no request waits for it.
func TestForwardDoesNotWaitForTheStore(t *testing.T) {
	d := newDirectory()
	_, home := d.join(t)
	_, other := d.join(t)
	sid := sidOf(t, home)
	for _, ready := range []error{nil, broker.ErrUnavailable} {
		d.set(func(d *directory) { d.ready, d.asked = ready, 0 })
		if _, body := request(t, t.Context(), "POST", other+polling+"&sid="+sid, "3"); body != "ok" {
			t.Error(body)
		}
		if d.asked != 0 != (ready == nil) {
			t.Errorf("ready: %v; asked %d times", ready, d.asked)
		}
	}
}

// Two relays that take each other for the right one forward a request only once.
func TestForwardLoopsAreImpossible(t *testing.T) {
	d := newDirectory()
	_, one := d.join(t)
	_, two := d.join(t)
	node := engine.NewNode()
	for _, way := range [][2]string{{one, two}, {two, one}, {one, one}} {
		d.set(func(d *directory) { d.peers[node] = broker.Peer{Node: node, URL: way[1]}; d.asked = 0 })
		if res, body := request(t, t.Context(), "GET", way[0]+polling+"&sid=secret."+node, ""); res.StatusCode != 400 || body != wiretest.UnknownSID {
			t.Error(res.Status, body)
		}
		if d.asked != 1 {
			t.Errorf("%d relays looked for another", d.asked)
		}
	}
}

// Only a relay of the fleet may forward a request, and its signature is good for this request
// alone. The relays' clocks may be far off.
func TestForwardIsAuthenticated(t *testing.T) {
	d := newDirectory()
	r, url := d.join(t)
	sid := sidOf(t, url)
	signed := func(secret, node, method, sid string, at time.Time) string {
		head := node + " " + strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "setu forward\n%s\n%s\n%s", head, method, sid)
		return head + " " + hex.EncodeToString(mac.Sum(nil))
	}
	secret, node, now := string(d.secret), r.cfg.Node, time.Now()
	for name, tt := range map[string]struct {
		header string
		status int
	}{
		"right":             {signed(secret, node, "POST", sid, now), 200},
		"another clock":     {signed(secret, node, "POST", sid, now.Add(-time.Minute)), 200},
		"another secret":    {signed("guess", node, "POST", sid, now), 403},
		"another method":    {signed(secret, node, "GET", sid, now), 403},
		"another session":   {signed(secret, node, "POST", "x", now), 403},
		"an hour behind":    {signed(secret, node, "POST", sid, now.Add(-time.Hour)), 200},
		"an hour ahead":     {signed(secret, node, "POST", sid, now.Add(time.Hour)), 200},
		"nonsense":          {"x", 403},
		"nonsense, 3 parts": {"a b c", 403},
	} {
		res, body := request(t, t.Context(), "POST", url+polling+"&sid="+sid, "3", "Setu-Forward", tt.header)
		if res.StatusCode != tt.status {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
	if !r.log.Has("claims to come from another relay") {
		t.Error("nothing was logged")
	}
}

// On Fly the proxy brings a request to its relay: it is told to before anything of the request is
// answered. What it can't bring goes by a hop.
func TestFlyReplay(t *testing.T) {
	d := newDirectory()
	_, one := d.join(t, "FLY_MACHINE_ID=m1", "FLY_PRIVATE_IP=fdaa::1")
	home, homeURL := d.join(t, "FLY_MACHINE_ID=m2")
	off, offURL := d.join(t, "FLY_MACHINE_ID=m3", "FORWARD=proxy")
	_, noURL := d.join(t, "FLY_MACHINE_ID=m4", "FORWARD=off")
	sid := sidOf(t, homeURL)
	check := func(name, url, sid, body, replay string, status int) {
		t.Helper()
		res, text := request(t, t.Context(), "POST", url+polling+"&sid="+sid, body)
		if res.Header.Get("Fly-Replay") != replay || res.StatusCode != status {
			t.Errorf("%s: %s, %q, %.100s", name, res.Status, res.Header.Get("Fly-Replay"), text)
		}
	}
	check("another machine", one, sid, "3", "instance=m2;timeout=2s;fallback=prefer_self", 409)
	check("a body that is not replayed goes by the hop", one, sid, strings.Repeat("x", 1_000_001), "", 413)
	sid = sidOf(t, homeURL)
	check("told to go by the hop", offURL, sid, "3", "", 200)
	check("told to stay", noURL, sid, "3", "", 400)
	check("a machine of the same name, in its former life", one, "secret."+former(d, "m1"), "3", "", 400)
	check("its own session", homeURL, sid, "3", "", 200)
	for home.srv.engine.Count() != 1 { // the first one's end is announced to nobody
		<-time.After(time.Millisecond)
	}
	if off.srv.engine.Count() != 0 {
		t.Error("a session of another relay's")
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(one, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := wiretest.UpgradeTo(t, c, sid) // which is never replayed
	p.Text("2probe")
	p.Expect("3probe")
	p.Text("5", "1")
	p.Closed()
}

// The origin is checked against the address that the page's browser has asked, whatever lies
// between.
func TestForwardedOrigin(t *testing.T) {
	d := newDirectory()
	_, home := d.join(t)
	_, other := d.join(t)
	sid := sidOf(t, home)
	for origin, want := range map[string]int{other: 200, home: 403, "https://evil.example": 403} {
		res, body := request(t, t.Context(), "POST", other+polling+"&sid="+sid, "3", "Origin", origin)
		if res.StatusCode != want {
			t.Error(origin, res.Status, body)
		}
	}
}
