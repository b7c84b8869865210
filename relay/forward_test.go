package relay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/wiretest"
)

// directory is what the relays of a fleet find out about one another.
type directory struct {
	mu sync.Mutex

	// guarded by mu
	peers    map[string]broker.Peer // by node
	draining map[string]bool        // by node
	secret   []byte
	asked    int   // how often a relay asked for a peer
	down     bool  // questions fail: the store is unavailable
	ready    error // what Ready returns
}

func (d *directory) set(change func(d *directory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// fleetBroker is a memory broker with a directory that several relays share.
type fleetBroker struct {
	*broker.Memory
	*directory
	node string // the node of the relay whose broker it is
}

func (b *fleetBroker) Peer(_ context.Context, node string) (broker.Peer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	switch p, ok := b.peers[node]; {
	case b.down:
		return p, broker.ErrUnavailable
	case !ok:
		return p, broker.ErrGone
	default:
		return p, nil
	}
}

// Others returns all relays that have not said that they drain, this one among them.
func (b *fleetBroker) Others(context.Context) (others []broker.Peer, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, p := range b.peers {
		if !b.draining[node] {
			others = append(others, p)
		}
	}
	return others, nil
}

func (b *fleetBroker) Drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining[b.node] = true
}

func (b *fleetBroker) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready
}

func (b *fleetBroker) Secret(context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.secret, nil
}

func newDirectory() *directory {
	return &directory{peers: map[string]broker.Peer{}, draining: map[string]bool{}, secret: []byte("the secret of this fleet, 32 byte")}
}

// join starts a relay of the fleet on loopback, and announces it.
func (d *directory) join(t *testing.T, pairs ...string) (r *rig, url string) {
	t.Helper()
	l, dial := wiretest.ListenTCP(t)
	url = "http://" + l.Addr().String()
	b := &fleetBroker{Memory: broker.NewMemory(settings(t).Limits()), directory: d}
	r = newRig(t, l, dial, b, pairs...)
	b.node = r.cfg.Node
	t.Cleanup(r.close)
	d.set(func(d *directory) {
		d.peers[r.cfg.Node] = broker.Peer{Node: r.cfg.Node, URL: url, Machine: r.cfg.Machine}
	})
	return r, url
}

// request makes one request over a connection of its own.
func request(t *testing.T, ctx context.Context, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ""
		}
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

const polling = Path + "?EIO=4&transport=polling"

// sidOf opens a session by polling, and returns its id.
func sidOf(t *testing.T, url string) string {
	t.Helper()
	res, body := request(t, t.Context(), "GET", url+polling, "")
	_, sid, ok := strings.Cut(body, `0{"sid":"`)
	if res.StatusCode != 200 || !ok {
		t.Fatal(res.Status, body)
	}
	sid, _, _ = strings.Cut(sid, `"`)
	return sid
}

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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody listens there
	dead := engine.NewNode()
	d.set(func(d *directory) { d.peers[dead] = broker.Peer{Node: dead, URL: "http://" + l.Addr().String()} })
	for i, sid := range []string{"secret." + dead, "secret." + dead, "secret." + engine.NewNode(), "secret." + r.cfg.Node, "secret", "a.b.c", "secret." + strings.Repeat("x", 5000)} {
		res, body := request(t, t.Context(), "GET", url+polling+"&sid="+sid, "")
		if res.StatusCode != 400 || body != wiretest.UnknownSID {
			t.Error(i, res.Status, body)
		}
	}
	if d.asked != 2 { // for the dead one once, for the one that nobody knows
		t.Errorf("the directory was asked %d times", d.asked)
	}
	for _, want := range []string{"level=WARN", "its relay cannot be reached", "relay=http://" + l.Addr().String(), "dial tcp"} {
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
	if got := post(); got != wiretest.UnknownSID {
		t.Error("gone: ", got)
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

// former adds an earlier run of a machine to the directory, one that has no address.
func former(d *directory, machine string) string {
	node := engine.NewNode()
	d.set(func(d *directory) { d.peers[node] = broker.Peer{Node: node, Machine: machine} })
	return node
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

// A GET that its client aborts ends on its session's relay, too.
func TestForwardedAbort(t *testing.T) {
	d := newDirectory()
	home, homeURL := d.join(t)
	_, other := d.join(t)
	sid := sidOf(t, homeURL)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if res, body := request(t, ctx, "GET", other+polling+"&sid="+sid, ""); res != nil {
		t.Fatal(res.Status, body)
	}
	awaitGone(t, home)
}

// What a relay forwards ends with that relay.
func TestShutdownCutsHops(t *testing.T) {
	d := newDirectory()
	home, homeURL := d.join(t)
	middle, other := d.join(t)
	sid := sidOf(t, homeURL)
	done := make(chan error, 1)
	go func() {
		res, err := http.Get(other + polling + "&sid=" + sid)
		if err == nil {
			_ = res.Body.Close()
			err = fmt.Errorf("%s", res.Status)
		}
		done <- err
	}()
	for home.underWay.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	_ = middle.srv.Shutdown(t.Context())
	select {
	case err := <-done:
		if err == nil || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("a poll still goes through")
	}
	http.DefaultClient.CloseIdleConnections()
}

// While a relay drains, new clients that connect to it get to another: by polling, and by WebSocket
// if a load balancer has brought them. Those by polling stay there when it has ended.
func TestDrainForwardsNewClients(t *testing.T) {
	d := newDirectory()
	other, otherURL := d.join(t, "RELAY_ID=other")
	drains, url := d.join(t, "RELAY_ID=drains")
	held := drains.guest("holds the drain up")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { _ = drains.srv.Shutdown(ctx) })
	if code, _ := held.Closed(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
	sid := sidOf(t, url)
	if engine.NodeOf(sid) != other.cfg.Node {
		t.Errorf("%q is not of %s", sid, other.cfg.Node)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := wiretest.UpgradeByProxy(t, c)
	if w, _ := p.Connect(`{"name":"ann"}`); w.Relay != "other" {
		t.Errorf("welcomed by %q", w.Relay)
	}
	up := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	if status, body := drains.Request("GET", Path+"?EIO=4&transport=websocket", up); status != 503 {
		t.Error("a WebSocket of a client that may choose itself: ", status, body)
	}
	if n := drains.srv.engine.Count(); n > 1 {
		t.Errorf("%d sessions at a relay that drains", n)
	}
	if _, body := request(t, t.Context(), "POST", url+polling+"&sid="+sid, "3"); body != "ok" {
		t.Error("through the relay that drains: ", body)
	}
	cancel() // its time is over
	p.EOF()
	ended.Wait()
	if _, body := request(t, t.Context(), "POST", otherURL+polling+"&sid="+sid, "3"); body != "ok" {
		t.Error("when it has ended: ", body)
	}
	if res, body := request(t, t.Context(), "GET", url+polling, ""); res.StatusCode != 503 {
		t.Error("at its very end: ", res.Status, body)
	}
}

func TestPrivateURL(t *testing.T) {
	for name, tt := range map[string]struct {
		settings []string
		want     string
	}{
		"a setting":       {[]string{"PRIVATE_URL=https://relay-7.internal", "FLY_PRIVATE_IP=fdaa::1"}, "https://relay-7.internal"},
		"Fly":             {[]string{"FLY_PRIVATE_IP=fdaa::1", "PORT=81"}, "http://[fdaa::1]:81"},
		"a host":          {[]string{"HOST=10.1.2.3", "FLY_PRIVATE_IP=fdaa::1"}, "http://10.1.2.3:8080"},
		"all addresses":   {[]string{"HOST=0.0.0.0", "FLY_PRIVATE_IP=fdaa::1"}, "http://[fdaa::1]:8080"},
		"by way of Redis": {[]string{"REDIS_URL=redis://127.0.0.1"}, "http://127.0.0.1:8080"},
	} {
		if got := settings(t, tt.settings...).Peer(); got.URL != tt.want || got.Node == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := settings(t, "REDIS_URL=redis://nowhere.invalid:1").Peer().URL; strings.Contains(got, "127.0.0.1") {
		t.Error("Redis' name is not known yet: ", got)
	}
	if _, err := LoadConfig([]string{"PRIVATE_URL=relay:80"}); err == nil || !strings.Contains(err.Error(), "PRIVATE_URL") {
		t.Error(err)
	}
	if _, err := LoadConfig([]string{"FORWARD=maybe"}); err == nil || !strings.Contains(err.Error(), "FORWARD") {
		t.Error(err)
	}
}
