package relay

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/room"
	"setu/relay/wiretest"
)

func TestPresenceGoesOutTogether(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asks := r.guest("asks")
		ack := asks.Call("join", `{"room":"room","presence":true}`)
		if wiretest.Field(t, ack, "count") != "1" || !strings.Contains(wiretest.Field(t, ack, "members"), `"name":"asks"`) {
			t.Error(ack)
		}
		quiet := r.member("quiet", "room")
		asks.Packet() // asks and quiet
		start := time.Now()
		b, c := r.member("b", "room"), r.member("c", "room")
		b.Call("leave", `{"room":"room"}`) // joined and left in one moment: never seen
		quiet.Call("leave", `{"room":"room"}`)
		s := asks.Packet()
		if got := time.Since(start); got != room.PresencePause {
			t.Errorf("told after %s", got)
		}
		if !strings.HasPrefix(s, `42["presence",{"room":"room","count":2,"joined":[{"id":"`) || strings.Contains(s, `"name":"b"`) ||
			strings.Count(s, `"name":"c"`) != 1 || !strings.Contains(s, `"left":[{"id":`) || !strings.HasSuffix(s, `"name":"quiet","guest":true,"region":"here","relay":"relay-1"}]}]`) {
			t.Error(s)
		}
		synctest.Wait()
		for _, p := range []*wiretest.Peer{quiet, b, c} { // these did not ask
			p.Nothing()
		}
		asks.Nothing()
		if ack := b.Call("members", `{"room":"room"}`); wiretest.Field(t, ack, "count") != "2" || strings.Count(ack, `"name"`) != 2 {
			t.Error(ack)
		}
		if ack := b.Call("members", `{"room":"nobody is here"}`); ack != `{"ok":true,"count":0,"members":[]}` {
			t.Error(ack)
		}
	})
}

func TestTabsAreOneUser(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		watcher := r.guest("watcher")
		watcher.Call("join", `{"room":"room","presence":true}`)
		watcher.Packet()
		var tabs []*wiretest.Peer
		for range 3 {
			p := r.Open()
			p.Connect(`{"name":"tab","key":"0123456789abcdef"}`)
			if ack := p.Call("join", `{"room":"room"}`); wiretest.Field(t, ack, "count") != "2" {
				t.Error(ack)
			}
			p.Call("join", `{"room":"room"}`) // again, which changes nothing
			tabs = append(tabs, p)
		}
		if s := watcher.Packet(); strings.Count(s, `"name":"tab"`) != 1 {
			t.Error(s)
		}
		tabs[0].Call("leave", `{"room":"room"}`)
		_ = tabs[1].Conn.Close()
		<-time.After(time.Second)
		watcher.Nothing()
		if ack := watcher.Call("publish", `{"room":"room","data":1}`); wiretest.Field(t, ack, "seq") != "1" {
			t.Error(ack)
		}
		watcher.Packet()
		if s := tabs[2].Packet(); !strings.HasPrefix(s, `42["message"`) {
			t.Error(s)
		}
		tabs[2].Nothing() // once, though it joined twice
		_ = tabs[2].Conn.Close()
		if s := watcher.Packet(); !strings.HasPrefix(s, `42["presence",{"room":"room","count":1,"left":[{"id":`) {
			t.Error(s)
		}
	})
}

// A user that comes back in time never left.
func TestReloadIsNoChange(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		watcher := r.guest("watcher")
		watcher.Call("join", `{"room":"room","presence":true}`)
		auth := `{"name":"a","key":"0123456789abcdef"}`
		p := r.Open()
		p.Connect(auth)
		p.Call("join", `{"room":"room"}`)
		watcher.Packet()
		_ = p.Conn.Close()
		synctest.Wait()
		p = r.Open()
		p.Connect(auth)
		p.Call("join", `{"room":"room"}`)
		<-time.After(time.Second)
		watcher.Nothing()
	})
}
