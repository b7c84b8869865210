package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/engine"
	"setu/relay/wiretest"
)

// A GET that its client aborts ends on its session's relay, too.
func TestForwardedAbort(t *testing.T) {
	d := newDirectory()
	home, homeURL := d.join(t)
	_, other := d.join(t)
	sid := sidOf(t, homeURL)
	for home.underWay.Load() > 0 { // the request that opened it
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for home.underWay.Load() == 0 && ctx.Err() == nil {
			<-time.After(time.Millisecond)
		}
		cancel()
	}()
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
	case <-time.After(patience):
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
