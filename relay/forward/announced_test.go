package forward

import (
	"testing"
	"time"

	"setu/relay/engine"
)

// Who polls has no session before the other relays can find this one: the next request may reach them. A WebSocket is
// all that its session needs.
func TestPollingAwaitsTheAnnouncement(t *testing.T) {
	f := newFleet()
	other, here := f.join(t, Config{Mode: Proxy}, engine.Config{}), f.join(t, Config{Mode: Proxy}, engine.Config{})
	found := here.Peer
	delete(f.peers, found.Node)
	f.unannounced, f.waiting = make(chan struct{}), make(chan struct{}, 2)
	if res, _ := ask(t, "GET", here.URL+"/?EIO=4&transport=websocket", "", webSocket()); res.StatusCode != 101 {
		t.Fatalf("a WebSocket: %d", res.StatusCode)
	}
	sid := make(chan string)
	go func() { sid <- open(t, here.URL, nil) }()
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
