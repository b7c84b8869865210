package forward

import (
	"testing"
	"time"

	"setu/relay/engine"
	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// Who polls has no session before the other relays can find this one: the next request may reach them. A WebSocket is
// all that its session needs.
func TestPollingAwaitsTheAnnouncement(t *testing.T) {
	f := newFleet()
	other, here := f.join(t, Config{Mode: Proxy}, engine.Config{}), f.join(t, Config{Mode: Proxy, Region: "dub"}, engine.Config{})
	found := here.Peer
	delete(f.peers, found.Node)
	f.unannounced, f.waiting = make(chan struct{}), make(chan struct{}, 2)
	if res, _ := ask(t, "GET", here.URL+"/?EIO=4&transport=websocket", "", webSocket()); res.StatusCode != 101 {
		t.Fatalf("a WebSocket: %d", res.StatusCode)
	}
	sid := make(chan string)
	go func() { sid <- openWith(t, here.URL, "&region=nrt", nil) }() // where no relay is
	const early = "opened while nobody finds this relay"
	select {
	case <-f.waiting: // the one that polls, and nobody else
	case <-sid:
		t.Fatal(early)
	}
	select {
	case <-sid:
		t.Fatal(early)
	case <-time.After(100 * time.Millisecond):
	}
	f.mu.Lock()
	f.peers[found.Node] = found
	f.mu.Unlock()
	close(f.unannounced)
	if res, body := ask(t, "POST", other.URL+polling+"&sid="+<-sid, "4hello", nil); body != "ok" {
		t.Errorf("over another relay: %d %s", res.StatusCode, body)
	}
	if len(f.waiting) > 0 {
		t.Error("a WebSocket has waited")
	}
}

// A store that has been emptied has lost the relays, too, until they announce themselves anew. What was known of them
// holds meanwhile; of one that is gone nobody is told that it can't be reached.
func TestPeerThatTheStoreHasLost(t *testing.T) {
	f := newFleet()
	m := metrics.New()
	owner, other := f.join(t, Config{Mode: Proxy}, engine.Config{}), f.join(t, Config{Metrics: m}, engine.Config{Metrics: m})
	sid := open(t, owner.URL, nil)
	post := func() (status int, body string) {
		t.Helper()
		res, body := ask(t, "POST", other.URL+polling+"&sid="+sid, "4hello", nil)
		return res.StatusCode, body
	}
	if _, body := post(); body != "ok" {
		t.Fatal(body)
	}
	f.mu.Lock()
	delete(f.peers, owner.Node)
	f.mu.Unlock()
	if _, body := post(); body != "ok" {
		t.Errorf("lost: %s", body)
	}
	was := other.peers[owner.Node]
	was.heard = time.Now().Add(-lostFor)
	other.note(owner.Node, was)
	if status, body := post(); status != 400 {
		t.Errorf("lost for long: %d %s", status, body)
	}
	gone := peer{Peer: dead(t), heard: time.Now()}
	other.note(gone.Node, gone)
	if res, body := ask(t, "GET", other.URL+polling+"&sid=session."+gone.Node, "", nil); res.StatusCode != 400 {
		t.Errorf("gone: %d %s", res.StatusCode, body)
	}
	if n := wiretest.Series(t, m.Handler())[`setu_refusals_total{limit="unreachable"}`]; n != 0 {
		t.Error("it is said that a relay which nobody knows can't be reached")
	}
}
