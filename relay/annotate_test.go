package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/client"
	"setu/relay/wiretest"
)

// annotate calls annotate and returns its ack.
func annotate(p *wiretest.Peer, room, offset, more string) string {
	return p.Call("annotate", `{"room":"`+room+`","offset":`+offset+`,`+more+`}`)
}

func publishIn(t *testing.T, p *wiretest.Peer, room, data string) (offset string) {
	t.Helper()
	ack := p.Call("publish", `{"room":"`+room+`","data":`+data+`}`)
	return wiretest.Field(t, ack, "offset")
}

// Reactions, edits and deletes are heard in order with messages, take no seq, and stand in every list.
func TestAnnotate(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "r"), r.member("b", "r")
		first := publishIn(t, a, "r", `"one"`)
		b.Packet()
		ack := annotate(b, "r", first, `"kind":"reaction","value":"👍"`)
		if wiretest.Field(t, ack, "ok") != "true" || wiretest.Field(t, ack, "rev") != "1" || wiretest.Field(t, ack, "count") != "1" {
			t.Fatal(ack)
		}
		own, at := wiretest.Field(t, ack, "offset"), wiretest.Field(t, ack, "at")
		a.Packet() // the message
		heard := a.Packet()
		want := fmt.Sprintf(`42["annotation",{"room":"r","offset":%s,"seq":1,"kind":"reaction","value":"👍","count":1,"from":{"id":"~`, first)
		if !strings.HasPrefix(heard, want) || !strings.HasSuffix(heard, fmt.Sprintf(`"name":"b","guest":true,"region":"here","relay":"relay-1"},"at":%s,"rev":1},%s]`, at, own)) {
			t.Error(heard)
		}
		b.Packet()
		if again := annotate(b, "r", first, `"kind":"reaction","value":"👍"`); wiretest.Field(t, again, "duplicate") != "true" || wiretest.Field(t, again, "rev") != "1" {
			t.Error(again)
		}
		annotate(a, "r", first, `"kind":"edit","value":{"text":"two"}`)
		if got := b.Packet(); !strings.Contains(got, `"kind":"edit","value":{"text":"two"},"from":`) || !strings.Contains(got, `"rev":2`) {
			t.Error(got)
		}
		if ack := a.Call("publish", `{"room":"r","data":3}`); wiretest.Field(t, ack, "seq") != "2" {
			t.Error("an annotation took a seq: ", ack)
		}
		for _, see := range []struct {
			p  *wiretest.Peer
			me string
		}{{a, "false"}, {b, "true"}} {
			page := see.p.Call("history", `{"room":"r"}`)
			joined := see.p.Call("join", `{"room":"r","history":10}`)
			for _, got := range []string{page, joined} {
				if !strings.Contains(got, `"data":{"text":"two"},"at":`) || strings.Count(got, `"seq":`) != 2 || strings.Contains(got, "one") ||
					!strings.Contains(got, `,"annotations":{"rev":2,"reactions":{"👍":{"count":1,"me":`+see.me+`}},"edited":{"at":`) {
					t.Error(got)
				}
			}
		}
		annotate(b, "r", first, `"kind":"reaction","value":"👍","remove":true`)
		if got := annotate(b, "r", first, `"kind":"reaction","value":"👍","remove":true`); wiretest.Field(t, got, "duplicate") != "true" || wiretest.Field(t, got, "count") != "0" {
			t.Error(got)
		}
		annotate(a, "r", first, `"kind":"delete"`)
		if got := b.Call("history", `{"room":"r"}`); strings.Contains(got, "two") || !strings.Contains(got, `"data":null,"at":`) || !strings.Contains(got, `"annotations":{"rev":4,"deleted":true}}`) {
			t.Error(got)
		}
		if got := faultIn(t, annotate(b, "r", first, `"kind":"reaction","value":"👍"`)); got.Code != codeGap {
			t.Errorf("%+v", got)
		}
		if got := annotate(a, "r", first, `"kind":"delete"`); wiretest.Field(t, got, "duplicate") != "true" {
			t.Error(got)
		}
	})
}

func TestAnnotateIsRefused(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "r"), r.member("b", "r")
		b.Call("join", `"other"`)
		first := publishIn(t, a, "r", `"one"`)
		named := wiretest.Field(t, a.Call("publish", `{"room":"r","event":"named","args":["secret"]}`), "offset")
		elsewhere := publishIn(t, b, "other", `1`)
		for _, tt := range []struct {
			who         *wiretest.Peer
			room, at    string
			more, code  string
			description string
		}{
			{b, "r", first, `"kind":"edit","value":1`, "forbidden", "another's"},
			{b, "r", first, `"kind":"delete"`, "forbidden", "another's"},
			{a, "other", elsewhere, `"kind":"reaction","value":"x"`, codeNotJoined, "not joined"},
			{b, "r", elsewhere, `"kind":"reaction","value":"x"`, codeGap, "of another room"},
			{b, "r", elsewhere, `"kind":"delete"`, codeGap, "of another room"},
			{a, "r", `"x"`, `"kind":"delete"`, codeBadRequest, "no offset"},
			{a, "r", first, `"kind":"vote"`, codeBadRequest, "no kind"},
			{a, "r", first, `"kind":"reaction"`, codeBadRequest, "no value"},
			{a, "r", first, `"kind":"reaction","value":7`, codeBadRequest, "not text"},
			{a, "r", first, `"kind":"reaction","value":""`, codeBadRequest, "empty"},
			{a, "r", first, `"kind":"reaction","value":"a\tb"`, codeBadRequest, "a control character"},
			{a, "r", first, `"kind":"reaction","value":"` + strings.Repeat("x", 65) + `"`, codeBadRequest, "long"},
			{a, "r", first, `"kind":"edit"`, codeBadRequest, "no value"},
			{a, "r", first, `"kind":"edit","value":1,"remove":true`, codeBadRequest, "taken back"},
			{a, "r", first, `"kind":"delete","value":1`, codeBadRequest, "a value"},
			{a, "r", first, `"kind":"edit","value":1,"id":""`, codeBadRequest, "an id"},
			{a, "r", named, `"kind":"edit","value":1`, codeBadRequest, "a named event"},
		} {
			if got := faultIn(t, annotate(tt.who, tt.room, tt.at, tt.more)); got.Code != tt.code {
				t.Errorf("%s, %s: %+v", tt.description, tt.more, got)
			}
		}
		if got := annotate(b, "r", named, `"kind":"reaction","value":"x"`); wiretest.Field(t, got, "ok") != "true" {
			t.Error(got)
		}
		annotate(a, "r", named, `"kind":"delete"`)
		if got := b.Call("history", `{"room":"r"}`); strings.Contains(got, "secret") || strings.Contains(got, "named") {
			t.Error(got)
		}
	})
}

// A message takes so many reactions and so many different ones, and no more.
func TestReactionsAreBounded(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "r"), r.member("b", "r")
		first := publishIn(t, a, "r", `"one"`)
		for _, value := range []string{"1", "2"} {
			annotate(a, "r", first, `"kind":"reaction","value":"`+value+`"`)
		}
		if got := faultIn(t, annotate(a, "r", first, `"kind":"reaction","value":"3"`)); got.Code != codeTooLarge {
			t.Errorf("%+v", got)
		}
		annotate(b, "r", first, `"kind":"reaction","value":"1"`)
		if got := faultIn(t, annotate(b, "r", first, `"kind":"reaction","value":"2"`)); got.Code != codeTooLarge {
			t.Errorf("%+v", got)
		}
		annotate(a, "r", first, `"kind":"reaction","value":"1","remove":true`)
		if got := annotate(b, "r", first, `"kind":"reaction","value":"2"`); wiretest.Field(t, got, "count") != "2" {
			t.Error(got)
		}
	}, "REACTIONS=3", "REACTION_KINDS=2")
}

// What was annotated while a client was away comes to it in order with the messages, whether it recovers as
// stock clients do or joins with since, and the offset of an annotation is as good as a message's.
func TestAnnotationsRecover(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other, s := r.member("other", "a"), r.returning("")
		s.Call("join", `{"room":"a"}`)
		first := publishIn(t, other, "a", `"one"`)
		annotate(other, "a", first, `"kind":"reaction","value":"x"`)
		s.hear()
		s.expectSeen("a 1")
		if len(s.named) != 1 || !strings.Contains(s.named[0], `"value":"x","count":1`) {
			t.Fatal(s.named)
		}
		before := s.offset // of the annotation
		s.cut()
		annotate(other, "a", first, `"kind":"edit","value":"secret"`)
		publishIn(t, other, "a", `"two"`)
		annotate(other, "a", first, `"kind":"edit","value":"now"`)
		s.named = nil
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 2")
		if len(s.named) != 2 || !strings.Contains(s.named[0], `"value":"now"`) || !strings.Contains(s.named[0], `"rev":2`) || !strings.Contains(s.named[1], `"rev":3`) {
			t.Error(s.named)
		}
		s.named = nil
		late := r.guest("late")
		got := late.Call("join", `{"room":"a","since":"`+before+`"}`)
		if wiretest.Field(t, got, "recovered") != "true" || strings.Count(got, `"kind":"edit"`) != 2 || strings.Contains(got, "secret") ||
			!strings.Contains(got, `"annotations":[{"room":"a","offset":`+first) || strings.Count(got, `"kind":`) != 2 {
			t.Error(got)
		}
		s.cut()
		s.again() // the offset was of an annotation
		s.expectRecovered(true)
		s.expectSeen()
		s.expectNamed()
	})
}

func TestAnnotateBinary(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.member("a", "r")
		first := publishIn(t, a, "r", `"one"`)
		a.Packet()
		a.Text(`451-9["annotate",{"room":"r","offset":` + first + `,"kind":"edit","value":[{"_placeholder":true,"num":0}]}]`)
		a.Write(wiretest.ClientFrame(0x82, []byte("image")))
		got := a.Packet()
		if !strings.HasPrefix(got, `451-["annotation",{`) || !strings.Contains(got, `"value":[{"_placeholder":true,"num":0}]`) || string(a.FrameOf(wiretest.OpBinary).Payload) != "image" {
			t.Error(got)
		}
		a.Text(`428["history",{"room":"r"}]`)
		for got = a.Packet(); !strings.HasPrefix(got, `461-8[`); got = a.Packet() {
		}
		if !strings.Contains(got, `"data":[{"_placeholder":true,"num":0}]`) {
			t.Error(got)
		}
	})
}

// The Go client annotates, hears of it, and after a cut connection of what it missed.
func TestAnnotateWithTheGoClient(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		var heard []string
		var state client.Annotations
		var me string
		a, cut := dialClient(t, r, client.Options{Name: "Asha", Handler: client.Handler{
			Annotation: func(n client.Annotation) {
				heard = append(heard, fmt.Sprintf("%s %s %d %v", n.Kind, string(n.Value), n.Rev, n.Recovered))
				state = state.With(n, me)
			},
			Error: func(err error) { t.Error(err) },
		}})
		defer a.Close()
		b, _ := dialClient(t, r, client.Options{Name: "Bo"})
		defer b.Close()
		for _, c := range []*client.Client{a, b} {
			if _, err := c.Join(t.Context(), "r", client.JoinOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		me = a.State().User.ID
		p, err := b.Publish(t.Context(), "r", "one", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*client.Client{a, b} {
			if _, err := c.React(t.Context(), "r", p.Offset, "👍", false); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if r := state.Reactions["👍"]; r.Count != 2 || !r.Me {
			t.Errorf("%+v", state)
		}
		cut()
		if done, err := b.EditMessage(t.Context(), "r", p.Offset, "two", nil); err != nil || done.Rev != 3 {
			t.Error(done, err)
		}
		if _, err := a.EditMessage(t.Context(), "r", p.Offset, "mine", nil); err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Error(err)
		}
		<-time.After(time.Minute)
		if _, err := b.DeleteMessage(t.Context(), "r", p.Offset); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []string{`reaction "👍" 1 false`, `reaction "👍" 2 false`, `edit "two" 3 true`, `delete  4 false`}
		if !slices.Equal(heard, want) || !state.Deleted || len(state.Reactions) > 0 {
			t.Errorf("%q, %+v", heard, state)
		}
		page, err := a.History(t.Context(), "r", "", 10)
		if err != nil || len(page.Messages) != 1 || !page.Messages[0].Annotations.Deleted || string(page.Messages[0].Data) != "null" {
			t.Errorf("%+v %v", page, err)
		}
	})
}

// The application reacts as anybody, edits its own messages and, with a key that may manage, everybody's.
func TestAPIAnnotate(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, p := r.api(t), r.member("g", "lobby")
		offset := strings.Trim(publishIn(t, p, "lobby", `"one"`), `"`)
		path := "rooms/lobby/messages/" + offset + "/annotations"
		p.Packet()
		first := a.want(201, "POST", path, `{"kind":"reaction","value":"👍","as":{"id":"asha"}}`)
		if wiretest.Field(t, first.body, "rev") != "1" || wiretest.Field(t, first.body, "count") != "1" {
			t.Error(first.body)
		}
		if got := p.Packet(); !strings.HasPrefix(got, `42["annotation",{"room":"lobby","offset":"`+offset+`","seq":1,"kind":"reaction","value":"👍","count":1,"from":{"id":"asha",`) ||
			!strings.HasSuffix(got, wiretest.Field(t, first.body, "offset")+`]`) {
			t.Error(got)
		}
		if again := a.want(200, "POST", path, `{"kind":"reaction","value":"👍","as":{"id":"asha"}}`); wiretest.Field(t, again.body, "duplicate") != "true" {
			t.Error(again.body)
		}
		if s := a.want(403, "POST", path, `{"kind":"edit","value":1}`, "Authorization", "Bearer "+publishKey); s.code(t) != "forbidden" {
			t.Error(s.body)
		}
		a.want(403, "POST", path, `{"kind":"reaction","value":"x"}`, "Authorization", "Bearer "+readKey)
		a.want(201, "POST", path, `{"kind":"edit","value":{"image":{"$binary":"AP8="}},"id":"e"}`)
		a.want(200, "POST", path, `{"kind":"edit","value":2,"id":"e"}`)
		page := a.want(200, "GET", "rooms/lobby/messages", "").body
		if !strings.Contains(page, `"data":{"image":{"$binary":"AP8="}}`) || !strings.Contains(page, `"annotations":{"rev":2,"reactions":{"👍":{"count":1}},"edited":{"at":`) {
			t.Error(page)
		}
		a.want(201, "POST", path, `{"kind":"delete"}`)
		if s := a.want(410, "POST", path, `{"kind":"reaction","value":"x"}`); s.code(t) != "gap" {
			t.Error(s.body)
		}
		if page := a.want(200, "GET", "rooms/lobby/messages", "").body; !strings.Contains(page, `"data":null`) || !strings.Contains(page, `"deleted":true`) || strings.Contains(page, "image") {
			t.Error(page)
		}
		for _, bad := range []string{`{"kind":"reaction"}`, `{"kind":"reaction","value":1}`, `{"kind":"delete","value":1}`, `{"kind":"edit"}`, `{"kind":"edit","value":{"$binary":"?"}}`,
			`{"kind":"reaction","value":"x","as":{"id":"~x"}}`} {
			a.want(400, "POST", path, bad)
		}
		a.want(422, "POST", path, `{"kind":"vote"}`)
		a.want(400, "POST", "rooms/lobby/messages/x/annotations", `{"kind":"delete"}`)
		a.want(413, "POST", path, `{"kind":"edit","value":"`+strings.Repeat("x", 1001)+`"}`)
	}, apiKeys, "MAX_PAYLOAD=1000")
}
