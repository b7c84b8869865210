package relay

import (
	"fmt"
	"strings"
	"testing"

	"setu/relay/wiretest"
)

// The same message goes out in full and compact, to those who asked for either, over both transports;
// what answers hold is the same for all.
func TestCompact(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		full, compact, polling, other := r.returning(""), r.returning(`"compact":true,`), r.Poll(), r.returning(`"compact":"true",`)
		polling.Say(`40{"compact":true}`)
		polling.Packet() // CONNECT
		polling.Packet() // welcome
		from := wiretest.Field(t, full.welcome, "user")
		for _, p := range []interface{ Call(string, string) string }{full, compact, polling, other} {
			p.Call("join", `{"room":"a"}`)
		}
		ack := full.Call("publish", `{"room":"a","id":"i","data":{"text":"hi"}}`)
		offset, at := wiretest.Field(t, ack, "offset"), wiretest.Field(t, ack, "at")
		want := fmt.Sprintf(`42["message",{"room":"a","seq":1,"id":"i","from":%s,"data":{"text":"hi"},"at":%s,"offset":%s},%s]`, from, at, offset, offset)
		for _, p := range []*returning{full, other} {
			if got := p.Packet(); got != want {
				t.Errorf("in full: %s, want %s", got, want)
			}
		}
		id := wiretest.Field(t, from, "id")
		want = fmt.Sprintf(`42["message",{"room":"a","seq":1,"id":"i","from":{"id":%s},"data":{"text":"hi"},"at":%s},%s]`, id, at, offset)
		for _, p := range []interface{ Packet() string }{compact, polling} {
			if got := p.Packet(); got != want {
				t.Errorf("compact: %s, want %s", got, want)
			}
		}
		object := fmt.Sprintf(`{"room":"a","seq":1,"id":"i","from":%s,"data":{"text":"hi"},"at":%s,"offset":%s}`, from, at, offset)
		for _, p := range []*returning{full, compact} {
			for event, arg := range map[string]string{"join": `{"room":"a","history":9}`, "history": `{"room":"a"}`} {
				if ack := p.Call(event, arg); !strings.Contains(ack, `"messages":[`+object+`]`) {
					t.Errorf("%s: %s", event, ack)
				}
			}
		}
	})
}

// What a session missed comes as its newest CONNECT asks for it.
func TestCompactRecovery(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.member("other", "a")
		s := r.returning(`"compact":true,`)
		s.Call("join", `{"room":"a"}`)
		say(other, 2, "a")
		s.hear()
		s.expectSeen("a 1", "a 2")
		s.cut()
		say(other, 2, "a")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 3", "a 4")
		s.cut()
		s.auth = ""
		say(other, 1, "a")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 5")
		say(other, 1, "a")
		if got := s.Packet(); !strings.Contains(got, `"guest":true`) || strings.Count(got, s.offset[:strings.Index(s.offset, ".")]) != 2 {
			t.Errorf("in full again: %s", got)
		}
	})
}
