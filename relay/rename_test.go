package relay

import (
	"setu/relay/wiretest"
	"strings"
	"testing"
	"time"
)

// A second connection of the same person under another name renames them: in lists, by an event,
// and in what the first one says from then on. What it said before stays as it was said.
func TestSecondTabRenames(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		tab := func(name string) *wiretest.Peer {
			p := r.Open()
			p.Connect(`{"name":"` + name + `","key":"0123456789abcdef"}`)
			return p
		}
		watcher := r.guest("watcher")
		watcher.Call("join", `{"room":"room","presence":true}`)
		first := tab("Ann")
		first.Call("join", `{"room":"room"}`)
		joined := watcher.Packet()
		id := wiretest.Field(t, joined[strings.Index(joined, `[{"id"`)+1:len(joined)-len(`]}]`)], "id")
		ann, anna := `{"id":`+id+`,"name":"Ann","guest":true,"region":"here","relay":"relay-1"}`, `{"id":`+id+`,"name":"Anna","guest":true,"region":"here","relay":"relay-1"}`
		first.Call("publish", `{"room":"room","data":1}`)
		if s := watcher.Packet(); !strings.Contains(s, `"from":`+ann) {
			t.Error(s)
		}

		second := tab("Anna")
		ack := second.Call("join", `{"room":"room","history":5,"presence":true}`)
		if !strings.Contains(ack, `"from":`+ann) || strings.Count(ack, anna) != 1 || wiretest.Field(t, ack, "count") != "2" {
			t.Error("what was said before, and who is here: ", ack)
		}
		want := `42["presence",{"room":"room","count":2,"renamed":[` + anna + `]}]`
		for _, p := range []*wiretest.Peer{watcher, second} {
			if s := p.Packet(); s != want {
				t.Errorf("%s, want %s", s, want)
			}
		}
		if ack := watcher.Call("members", `{"room":"room"}`); strings.Count(ack, anna) != 1 || strings.Contains(ack, ann) {
			t.Error(ack)
		}

		first.Text(`42["signal",{"room":"room","data":2}]`)
		for _, p := range []*wiretest.Peer{watcher, second} {
			if s := p.Packet(); s != `42["signal",{"room":"room","from":`+anna+`,"data":2}]` {
				t.Error(s)
			}
		}
		_ = second.Conn.Close()
		<-time.After(time.Second)
		first.Call("join", `{"room":"room"}`) // which does not bring back the name of its CONNECT
		first.Call("publish", `{"room":"room","data":3}`)
		if s := watcher.Packet(); !strings.Contains(s, `"from":`+anna) {
			t.Error(s)
		}
		<-time.After(time.Second)
		watcher.Nothing()
	})
}

// A client that resumes states its name again: the newest CONNECT says what a person is called.
func TestResumeStatesTheName(t *testing.T) {
	const key = `"key":"0123456789abcdef",`
	for name, row := range map[string]struct{ first, again, want string }{
		"the same":  {`"name":"Ann",`, `"name":"Ann",`, "Ann"},
		"a new one": {`"name":"Ann",`, `"name":"Annette",`, "Annette"},
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				s := r.returning(row.first + key)
				s.Call("join", `{"room":"room"}`)
				other := r.Open()
				other.Connect(`{"name":"Anna",` + strings.TrimSuffix(key, ",") + `}`)
				other.Call("join", `{"room":"room"}`)
				s.cut()
				s.auth = row.again + key
				s.again()
				s.expectRecovered(true)
				for _, p := range []*wiretest.Peer{s.Peer, other} {
					p.Call("publish", `{"room":"room","data":1}`)
				}
				ack := other.Call("join", `{"room":"room","history":2,"presence":true}`)
				if strings.Count(ack, `"name":"`+row.want+`"`) != 3 || strings.Contains(ack, "Anna\"") {
					t.Error(ack)
				}
			})
		})
	}
}
