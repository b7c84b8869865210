package relay

import (
	"fmt"
	"strings"
	"testing"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

func TestPollingHandshake(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := &wiretest.Poller{T: t, Web: r.Client(t)}
		got := p.Send(t.Context(), "GET", "&t=abc123&b64=1", nil)
		h, err := engineio.ParseHandshake([]byte(strings.TrimPrefix(got.Body, "0")))
		if got.Status != 200 || err != nil || h.PingInterval != 25000 || h.PingTimeout != 20000 || h.MaxPayload != 1000000 {
			t.Errorf("%d %s: %v", got.Status, got.Body, err)
		}
		if !strings.HasPrefix(got.Body, `0{"sid":"`) || !strings.Contains(got.Body, `"upgrades":["websocket"]`) || len(h.SID) < 20 {
			t.Error(got.Body)
		}
		if kind, cache := got.Header.Get("Content-Type"), got.Header.Get("Cache-Control"); kind != "text/plain; charset=UTF-8" || cache != "no-store" {
			t.Errorf("Content-Type %q, Cache-Control %q", kind, cache)
		}
		if other := r.Poll(); other.SID == h.SID {
			t.Error("one id for two sessions")
		}
		p.SID = h.SID
		p.Say("40")
		if got := p.Get(); got.Header.Get("Content-Type") != "text/plain; charset=UTF-8" || got.Header.Get("Cache-Control") != "no-store" ||
			got.Header.Get("Content-Length") != fmt.Sprint(len(got.Body)) || strings.Contains(got.Body, h.SID) {
			t.Errorf("%v %s", got.Header, got.Body)
		}
		if got := p.Post("3"); got.Header.Get("Content-Type") != "text/html" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v %s", got.Header, got.Body)
		}
	})
}

// A client that polls takes part in a whole chat, beside one by WebSocket.
func TestChatByPolling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.pollingMember("a", "room"), r.member("b", "room")
		ack := a.Call("publish", `{"room":"room","id":"m1","data":"é"}`)
		if wiretest.Field(t, ack, "ok")+wiretest.Field(t, ack, "seq") != "true1" {
			t.Error(ack)
		}
		mine, theirs := a.Packet(), b.Packet()
		if mine != theirs || !strings.HasPrefix(mine, `42["message",{"room":"room","seq":1,"id":"m1",`) {
			t.Error(mine, theirs)
		}
		waits := a.Waiting()
		b.Text(`42["signal",{"room":"room","data":"typing"}]`)
		if got := <-waits; !strings.HasPrefix(got.Body, `42["signal",{"room":"room","from":`) {
			t.Error(got.Body)
		}
		a.Say(`421["leave",{"room":"room"}]`, `422["members",{"room":"room"}]`, `42["publish",{"room":"room","data":1}]`)
		if got := a.Packet(); got != `431[{"ok":true}]` {
			t.Error(got)
		}
		if got := a.Packet(); !strings.HasPrefix(got, `432[{"ok":true,"count":1,`) {
			t.Error(got)
		}
		if got := a.Packet(); !strings.HasPrefix(got, `42["error_event",{"ok":false,"error":{"code":"not_joined"`) {
			t.Error(got)
		}
		a.Say("41")
		a.Say("40")
		if s := a.Packet(); !strings.HasPrefix(s, `40{"sid":"`) {
			t.Error(s)
		}
	})
}
