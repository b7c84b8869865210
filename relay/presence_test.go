package relay

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/room"
)

func TestPresenceGoesOutTogether(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asks := r.guest("asks")
		ack := asks.call("join", `{"room":"room","presence":true}`)
		if field(t, ack, "count") != "1" || !strings.Contains(field(t, ack, "members"), `"name":"asks"`) {
			t.Error(ack)
		}
		quiet := r.member("quiet", "room")
		asks.packet() // asks and quiet
		start := time.Now()
		b, c := r.member("b", "room"), r.member("c", "room")
		b.call("leave", `{"room":"room"}`) // came and went in one moment: never seen
		quiet.call("leave", `{"room":"room"}`)
		s := asks.packet()
		if got := time.Since(start); got != room.PresencePause {
			t.Errorf("told after %s", got)
		}
		if !strings.HasPrefix(s, `42["presence",{"room":"room","count":2,"joined":[{"id":"`) || strings.Contains(s, `"name":"b"`) ||
			strings.Count(s, `"name":"c"`) != 1 || !strings.Contains(s, `"left":[{"id":`) || !strings.HasSuffix(s, `"name":"quiet","guest":true}]}]`) {
			t.Error(s)
		}
		synctest.Wait()
		for _, p := range []*peer{quiet, b, c} { // these did not ask
			p.nothing()
		}
		asks.nothing()
		if ack := b.call("members", `{"room":"room"}`); field(t, ack, "count") != "2" || strings.Count(ack, `"name"`) != 2 {
			t.Error(ack)
		}
		if ack := b.call("members", `{"room":"nobody is here"}`); ack != `{"ok":true,"count":0,"members":[]}` {
			t.Error(ack)
		}
	})
}

func TestTabsAreOneUser(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		watcher := r.guest("watcher")
		watcher.call("join", `{"room":"room","presence":true}`)
		watcher.packet()
		var tabs []*peer
		for range 3 {
			p := r.open()
			p.connect(`{"name":"tab","key":"0123456789abcdef"}`)
			if ack := p.call("join", `{"room":"room"}`); field(t, ack, "count") != "2" {
				t.Error(ack)
			}
			p.call("join", `{"room":"room"}`) // again, which changes nothing
			tabs = append(tabs, p)
		}
		if s := watcher.packet(); strings.Count(s, `"name":"tab"`) != 1 {
			t.Error(s)
		}
		tabs[0].call("leave", `{"room":"room"}`)
		_ = tabs[1].c.Close()
		<-time.After(time.Second)
		watcher.nothing()
		if ack := watcher.call("publish", `{"room":"room","data":1}`); field(t, ack, "seq") != "1" {
			t.Error(ack)
		}
		watcher.packet()
		if s := tabs[2].packet(); !strings.HasPrefix(s, `42["message"`) {
			t.Error(s)
		}
		tabs[2].nothing() // once, though it joined twice
		_ = tabs[2].c.Close()
		if s := watcher.packet(); !strings.HasPrefix(s, `42["presence",{"room":"room","count":1,"left":[{"id":`) {
			t.Error(s)
		}
	})
}

// A guest who comes back in time never left.
func TestReloadIsNoChange(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		watcher := r.guest("watcher")
		watcher.call("join", `{"room":"room","presence":true}`)
		auth := `{"name":"a","key":"0123456789abcdef"}`
		p := r.open()
		p.connect(auth)
		p.call("join", `{"room":"room"}`)
		watcher.packet()
		_ = p.c.Close()
		synctest.Wait()
		p = r.open()
		p.connect(auth)
		p.call("join", `{"room":"room"}`)
		<-time.After(time.Second)
		watcher.nothing()
	})
}
