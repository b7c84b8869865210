package relay

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"setu/relay/wiretest"
)

// An event under its own name is heard as a stock server sends it, stands in every list beside the messages,
// and comes again to who recovers.
func TestNamedEvents(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		sender, s := r.member("sender", "a"), r.returning("")
		s.Call("join", `"a"`)
		ack := sender.Call("publish", `{"room":"a","id":"i","event":"chat message","args":[ "hi" , {"n":1.10} ]}`)
		if wiretest.Field(t, ack, "ok") != "true" || wiretest.Field(t, ack, "id") != `"i"` || wiretest.Field(t, ack, "seq") != "1" {
			t.Fatal(ack)
		}
		offset, at := wiretest.Field(t, ack, "offset"), wiretest.Field(t, ack, "at")
		sender.Expect(fmt.Sprintf(`42["chat message","hi",{"n":1.10},%s]`, offset))
		if again := sender.Call("publish", `{"room":"a","id":"i","event":"other"}`); wiretest.Field(t, again, "duplicate") != "true" || wiretest.Field(t, again, "offset") != offset {
			t.Error(again)
		}
		sender.Call("publish", `{"room":"a","data":1}`)
		sender.Call("publish", `{"room":"a","event":"no arguments","args":null,"data":null}`)
		page := sender.Call("history", `{"room":"a"}`)
		object := fmt.Sprintf(`"at":%s,"event":"chat message","args":["hi",{"n":1.10}],"offset":%s}`, at, offset)
		if !strings.HasPrefix(page, `{"ok":true,"messages":[{"room":"a","seq":1,"id":"i","from":{"id":"~`) || !strings.Contains(page, object) ||
			!strings.Contains(page, `"event":"no arguments","args":[],"offset":`) {
			t.Error(page)
		}
		s.hear()
		s.expectSeen("a 2")
		s.expectNamed(`42["chat message","hi",{"n":1.10}`, `42["no arguments"`)
		s.cut()
		sender.Call("publish", `{"room":"a","event":"away","args":["x"]}`)
		sender.Call("publish", `{"room":"a","data":2}`)
		sender.Call("publish", `{"room":"a","event":"away","args":[]}`)
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 5")
		s.expectNamed(`42["away","x"`, `42["away"`)
		if answer := s.Call("join", `{"room":"a","since":`+offset+`}`); strings.Count(answer, `"event":`) != 3 || wiretest.Field(t, answer, "recovered") != "true" {
			t.Error(answer)
		}
	})
}

func TestBinaryNamedEvents(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		sender, s := r.member("sender", "a"), r.returning("")
		s.Call("join", `{"room":"a"}`)
		photo := func(bytes string) {
			sender.Text(`451-["publish",{"room":"a","event":"photo","args":["of",{"num":0,"_placeholder":true}]}]`)
			sender.Write(wiretest.ClientFrame(0x82, []byte(bytes)))
		}
		const want = `451-["photo","of",{"_placeholder":true,"num":0}`
		photo("one")
		if got := sender.Packet(); !strings.HasPrefix(got, want+`,"`) || string(sender.FrameOf(wiretest.OpBinary).Payload) != "one" {
			t.Error(got)
		}
		s.take(s.Packet())
		s.cut()
		photo("two")
		sender.Packet()
		sender.FrameOf(wiretest.OpBinary)
		s.again()
		s.expectRecovered(true)
		s.expectNamed(want, want)
		if fmt.Sprintf("%s", s.attachments) != "[one two]" {
			t.Errorf("%q", s.attachments)
		}
		sender.Text(`427["history",{"room":"a"}]`)
		if got := sender.Packet(); !strings.HasPrefix(got, `462-7[{"ok":true,"messages":[{`) || !strings.Contains(got, `"args":["of",{"_placeholder":true,"num":1}],`) {
			t.Error(got)
		}
	})
}

// The sender of an event with self: false does not hear it: not now, and not after a recovery. Other connections
// of the same user do.
func TestNamedEventsToOthers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		const who = `"key":"0123456789abcdef",`
		s, tab := r.returning(who), r.returning(who)
		s.Call("join", `{"room":"a"}`)
		tab.Call("join", `{"room":"a"}`)
		for i, self := range []string{`,"self":false`, `,"self":true`, `,"self":null`, ""} {
			if ack := s.Call("publish", fmt.Sprintf(`{"room":"a","event":"e","args":[%d]%s}`, i, self)); wiretest.Field(t, ack, "ok") != "true" {
				t.Error(ack)
			}
		}
		s.hear()
		s.expectNamed(`42["e",1`, `42["e",2`, `42["e",3`)
		tab.hear()
		tab.expectNamed(`42["e",0`, `42["e",1`, `42["e",2`, `42["e",3`)
		s.Text(`42["publish",{"room":"a","event":"e","args":[4],"self":false}]`, `42["publish",{"room":"a","event":"e","args":[5]}]`)
		synctest.Wait()
		tab.hear()
		tab.expectNamed(`42["e",4`, `42["e",5`)
		s.cut()
		tab.cut()
		for _, one := range []*returning{s, tab} {
			one.again()
			one.expectRecovered(true)
		}
		s.expectNamed(`42["e",5`)
		tab.expectNamed()
	})
}

func TestNamedSignals(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "room"), r.member("b", "room")
		a.Text(`42["signal",{"room":"room","event":"typing","args":[{"on":true}]}]`, `42["signal",{"room":"room","event":"typing"}]`, `42["signal",{"room":"room","event":"typing","args":["x"]}]`)
		b.Expect(`42["typing",{"on":true}]`)
		b.Expect(`42["typing",null]`) // a client that can recover takes a string at the end for an offset
		b.Expect(`42["typing","x",null]`)
		a.Nothing()
		if ack := b.Call("history", `{"room":"room"}`); ack != `{"ok":true,"messages":[],"more":false}` {
			t.Error("a signal was stored: ", ack)
		}
	})
}

// Who asks for objects hears named events as the objects that lists have of them, live and after a recovery.
func TestNamedEventsAsObjects(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		sender, s := r.member("sender", "a"), r.returning(`"objects":true,`)
		s.Call("join", `"a"`)
		offset := wiretest.Field(t, sender.Call("publish", `{"room":"a","event":"e","args":["x"]}`), "offset")
		if got := s.Packet(); !strings.HasPrefix(got, `42["message",{"room":"a","seq":1,"id":"`) || !strings.HasSuffix(got, `"event":"e","args":["x"],"offset":`+offset+`},`+offset+`]`) {
			t.Error(got)
		}
		sender.Text(`42["signal",{"room":"a","event":"s","args":["x"]}]`)
		if got := s.Packet(); !strings.HasPrefix(got, `42["signal",{"room":"a","from":{"id":"`) || !strings.HasSuffix(got, `},"event":"s","args":["x"]}]`) {
			t.Error(got)
		}
		s.cut()
		sender.Call("publish", `{"room":"a","event":"e","args":[]}`)
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 1", "a 2")
		s.expectNamed()
	})
}

func TestBadNamedEvents(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "a")
		for _, what := range []string{
			`"event":5`, `"event":""`, `"event":"a\nb"`, `"event":"\ud800"`, `"event":"` + strings.Repeat("x", 201) + `"`, `"event":{}`,
			`"event":"e","args":{}`, `"event":"e","args":"x"`, `"event":"e","args":[` + strings.Repeat("1,", 254) + `1]`, `"event":"e","args":[` + strings.Repeat("1,", 300) + `1]`,
			`"event":"e","data":1`, `"event":"connect"`, `"event":"connect_error"`, `"event":"disconnect"`, `"event":"newListener"`, `"event":"message"`, `"event":"publish"`, `"event":"welcome"`,
			`"event":"error_event"`, `"event":"token_expires"`, `"event":"left"`, `"args":[1]`,
		} {
			for _, request := range []string{"publish", "signal"} {
				if request == "signal" && what == `"args":[1]` {
					continue // a signal needs no data
				}
				if f := failure(t, p.Call(request, `{"room":"a",`+what+`}`)); f.Code != codeBadRequest {
					t.Errorf("%s of %s: %v", request, what, f)
				}
			}
		}
		if f := failure(t, p.Call("publish", `{"room":"a","event":"e","self":"no"}`)); f.Code != codeBadRequest {
			t.Error(f)
		}
		if ack := p.Call("publish", `{"room":"a","event":"e","args":[`+strings.Repeat("1,", 253)+`1]}`); wiretest.Field(t, ack, "ok") != "true" {
			t.Error(ack)
		}
		p.Packet()
		// A message is what it always was, whatever else its request has.
		p.Call("publish", `{"room":"a","data":1,"event":null,"args":5,"self":false}`)
		if got := p.Packet(); !strings.HasPrefix(got, `42["message",{"room":"a","seq":2,`) {
			t.Error(got)
		}
		for _, request := range []string{"publish", "signal"} {
			if f := failure(t, p.Call(request, `{"room":"b","event":"e"}`)); f.Code != codeNotJoined {
				t.Error(f)
			}
		}
	}, "PUBLISH_RATE=off")
}
