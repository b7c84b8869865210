package relay

import (
	"encoding/json"
	"fmt"
	"setu/relay/wiretest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// failure returns the error that a failed request is answered with.
func failure(t *testing.T, answer string) fault {
	t.Helper()
	var body struct {
		OK    *bool
		Error fault
	}
	if err := json.Unmarshal([]byte(answer), &body); err != nil || body.OK == nil || *body.OK || body.Error.Message == "" {
		t.Fatalf("no failure: %s: %v", answer, err)
	}
	return body.Error
}

func TestBadRequests(t *testing.T) {
	withRoom := []string{"join", "leave", "publish", "signal", "history", "members"}
	room := strings.Repeat("r", maxRoom+1)
	tests := []struct {
		name, args string
		events     []string
	}{
		{"no argument", ``, withRoom},
		{"two arguments", `,{"room":"a"},{}`, withRoom},
		{"a number", `,1`, withRoom},
		{"a string", `,"a"`, []string{"publish", "signal", "history", "members"}},
		{"an array", `,["a"]`, withRoom},
		{"null", `,null`, withRoom},
		{"true", `,true`, withRoom},
		{"no room", `,{}`, withRoom},
		{"an empty room", `,{"room":""}`, withRoom},
		{"a room that is null", `,{"room":null}`, withRoom},
		{"a room that is a number", `,{"room":5}`, withRoom},
		{"a room that is an object", `,{"room":{}}`, withRoom},
		{"a room of 201 bytes", `,{"room":"` + room + `"}`, withRoom},
		{"a room of 101 letters of two bytes", `,{"room":"` + strings.Repeat("é", 101) + `"}`, withRoom},
		{"a room with a control character", `,{"room":"a\u0000b"}`, withRoom},
		{"a room with a C1 control", `,{"room":"a\u0085b"}`, withRoom},
		{"negative history", `,{"room":"a","history":-1}`, []string{"join"}},
		{"history in fractions", `,{"room":"a","history":1.5}`, []string{"join"}},
		{"endless history", `,{"room":"a","history":1` + strings.Repeat("0", 5000) + `}`, []string{"join"}},
		{"since of nonsense", `,{"room":"a","since":"yesterday"}`, []string{"join"}},
		{"empty since", `,{"room":"a","since":""}`, []string{"join"}},
		{"since as a number", `,{"room":"a","since":7}`, []string{"join"}},
		{"a long since", `,{"room":"a","since":"` + strings.Repeat("e", 100) + `.1.1.a"}`, []string{"join"}},
		{"presence of another type", `,{"room":"a","presence":"yes"}`, []string{"join"}},
		{"no data", `,{"room":"a"}`, []string{"publish"}},
		{"an empty id", `,{"room":"a","data":1,"id":""}`, []string{"publish"}},
		{"a long id", `,{"room":"a","data":1,"id":"` + strings.Repeat("i", 65) + `"}`, []string{"publish"}},
		{"an id of another type", `,{"room":"a","data":1,"id":5}`, []string{"publish"}},
		{"before of nonsense", `,{"room":"a","before":"x.y"}`, []string{"history"}},
		{"negative limit", `,{"room":"a","limit":-5}`, []string{"history"}},
		{"nothing known", `,{}`, []string{"", "error", "toString", "__proto__", "welcome", "message", `\u0000binary`, strings.Repeat("n", 300)}},
	}
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "a")
		for _, tt := range tests {
			for _, event := range tt.events {
				p.Acks++
				id := strconv.Itoa(p.Acks)
				p.Text("42" + id + `["` + event + `"` + tt.args + `]`)
				answer := p.Answer(id)
				if f := failure(t, answer); f.Code != codeBadRequest || f.Retry != 0 || len(f.Message) > 300 {
					t.Errorf("%s, %s: %s", event, tt.name, answer)
				}
			}
		}
		p.Text(`42["join",5]`) // without an ack id
		if s := p.Packet(); !strings.HasPrefix(s, `42["error_event",{"ok":false,"error":{"code":"bad_request","message":"`) {
			t.Error(s)
		}
		p.Text(`42[7]`)
		if s := p.Packet(); !strings.HasPrefix(s, `42["error_event",{"ok":false,"error":{"code":"bad_request","message":"unknown event`) {
			t.Error(s)
		}
	})
}

func TestBoundsThatHold(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		for _, room := range []string{"x", strings.Repeat("r", maxRoom), strings.Repeat("é", 100), "a b/ü,😀", `q\"uote\\`, "<&>\u2028"} {
			if ack := p.Call("join", `{"room":"`+room+`","history":100000,"since":null,"presence":false}`); wiretest.Field(t, ack, "ok") != "true" || wiretest.Field(t, ack, "room") == "" {
				t.Errorf("%s: %s", room, ack)
			}
			ack := p.Call("publish", `{"room":"`+room+`","data":null,"id":"`+strings.Repeat("é", maxID)+`"}`)
			if wiretest.Field(t, ack, "ok") != "true" || wiretest.Field(t, ack, "seq") != "1" {
				t.Errorf("%s: %s", room, ack)
			}
			var got []struct {
				Room string
				Data json.RawMessage
			}
			p.Held = nil
			ack = p.Call("history", `{"room":"`+room+`","limit":100000}`)
			var want string
			_ = json.Unmarshal([]byte(`"`+room+`"`), &want)
			if err := json.Unmarshal([]byte(wiretest.Field(t, ack, "messages")), &got); err != nil || len(got) != 1 || got[0].Room != want || string(got[0].Data) != "null" {
				t.Errorf("%s: %s: %v", room, ack, err)
			}
		}
	})
}

func TestMembershipIsNeeded(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		for _, event := range []string{"publish", "signal"} {
			if f := failure(t, p.Call(event, `{"room":"a","data":1}`)); f.Code != codeNotJoined {
				t.Error(event, f)
			}
		}
		if ack := p.Call("leave", `{"room":"a"}`); ack != `{"ok":true}` {
			t.Error(ack)
		}
		p.Call("join", `{"room":"a"}`)
		p.Call("leave", `{"room":"a"}`)
		if f := failure(t, p.Call("publish", `{"room":"a","data":1}`)); f.Code != codeNotJoined {
			t.Error(f)
		}
		for i := range maxJoined {
			p.Text(fmt.Sprintf(`42["join",{"room":"r%d"}]`, i))
		}
		if f := failure(t, p.Call("join", `{"room":"one more"}`)); f.Code != codeTooLarge {
			t.Error(f)
		}
		if ack := p.Call("join", `{"room":"r7"}`); wiretest.Field(t, ack, "ok") != "true" {
			t.Error("a room that it is in already: ", ack)
		}
	})
}

func TestMessageReachesAllInOneOrder(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "room"), r.member("b", "room")
		elsewhere := r.member("c", "other")
		ack := a.Call("publish", `{"room":"room","id":"m1","data":{"text":"hi"}}`)
		want := `42["message",{"room":"room","seq":1,"id":"m1","from":{"id":`
		offset := wiretest.Field(t, ack, "offset")
		for _, p := range []*wiretest.Peer{a, b} {
			s := p.Packet()
			if !strings.HasPrefix(s, want) || !strings.HasSuffix(s, `,"data":{"text":"hi"},"at":`+wiretest.Field(t, ack, "at")+`,"offset":`+offset+`},`+offset+`]`) {
				t.Error(s)
			}
		}
		if wiretest.Field(t, ack, "ok")+wiretest.Field(t, ack, "room")+wiretest.Field(t, ack, "id")+wiretest.Field(t, ack, "seq") != `true"room""m1"1` || wiretest.Field(t, ack, "duplicate") != "" {
			t.Error(ack)
		}
		if at, _ := strconv.ParseInt(wiretest.Field(t, ack, "at"), 10, 64); at != time.Now().UnixMilli() {
			t.Error("at: ", at)
		}
		elsewhere.Nothing()
		a.Nothing()
	})
}

func TestDataPassesByteForByte(t *testing.T) {
	data := []string{`1.10`, `1e400`, `-0`, `123456789012345678901234567890`, `{"b":1,"a":2,"b":3}`, `"\u0041\u00e9\ud83d\ude00\/"`, `"é😀"`, `"<script>&amp;"`,
		"\"\u2028\"", `[ 1 ,	2 ]`, `{"_placeholder":true,"num":0}`, `"` + strings.Repeat("x", 70000) + `"`, strings.Repeat("[", 100) + strings.Repeat("]", 100), `""`, `false`, `null`}
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "room"), r.member("b", "room")
		for _, d := range data {
			a.Call("publish", `{"data":`+d+`,"room":"room"}`)
			for _, p := range []*wiretest.Peer{a, b} {
				if s := p.Packet(); !strings.Contains(s, `,"data":`+d+`,"at":`) {
					t.Errorf("%.100s came as %.300s", d, s)
				}
			}
			a.Call("signal", `{"data":`+d+`,"room":"nowhere"}`)
			a.Text(`42["signal",{"data":` + d + `,"room":"room"}]`)
			if s := b.Packet(); !strings.HasSuffix(s, `,"data":`+d+`}]`) {
				t.Errorf("signal: %.100s came as %.300s", d, s)
			}
		}
		ack := b.Call("history", `{"room":"room"}`)
		for _, d := range data {
			if !strings.Contains(ack, `,"data":`+d+`,"at":`) {
				t.Errorf("history is without %.100s", d)
			}
		}
	})
}

func TestAnswersComeInOrder(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		var all []string
		for i := range 60 {
			event := []string{`["join",{"room":"a"}]`, `["publish",{"room":"a","data":1}]`, `["members",{"room":"a"}]`, `["nonsense"]`, `["leave",{"room":"a"}]`}[i%5]
			all = append(all, "42"+strconv.Itoa(1000+i)+event)
		}
		done := make(chan struct{})
		go func() { // a pipe holds nothing: a client that asks all at once must read meanwhile
			defer close(done)
			p.Text(all...)
		}()
		next := 1000
		for next < 1060 {
			id, isAck := strings.CutPrefix(p.Packet(), "43")
			if !isAck {
				continue
			}
			if got, want := id[:4], strconv.Itoa(next); got != want {
				t.Fatalf("answer %s, want %s", got, want)
			}
			if i := next % 5; i != 3 && !strings.Contains(id, `"ok":true`) {
				t.Fatal("pipelined: ", id)
			}
			next++
		}
		<-done
	})
}

func TestSignal(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.member("a", "room"), r.member("b", "room")
		a.Text(`42["signal",{"room":"room","data":"typing"}]`, `42["signal",{"room":"room"}]`)
		if s := b.Packet(); !strings.HasPrefix(s, `42["signal",{"room":"room","from":{"id":"`) || !strings.HasSuffix(s, `"name":"a","guest":true,"region":"here","relay":"relay-1"},"data":"typing"}]`) {
			t.Error(s)
		}
		if s := b.Packet(); !strings.HasSuffix(s, `"data":null}]`) {
			t.Error(s)
		}
		a.Nothing()
		if ack := b.Call("history", `{"room":"room"}`); ack != `{"ok":true,"messages":[],"more":false}` {
			t.Error("a signal was stored: ", ack)
		}
	})
}

func TestPublishIsIdempotent(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		key := `{"name":"a","key":"0123456789abcdef"}`
		a, tab := r.Open(), r.Open()
		a.Connect(key)
		tab.Connect(key)
		other := r.member("b", "room")
		a.Call("join", `{"room":"room"}`)
		tab.Call("join", `{"room":"room"}`)
		first := a.Call("publish", `{"room":"room","id":"m1","data":1}`)
		again := tab.Call("publish", `{"room":"room","id":"m1","data":2}`)
		if wiretest.Field(t, again, "duplicate") != "true" || wiretest.Field(t, again, "offset") != wiretest.Field(t, first, "offset") || wiretest.Field(t, again, "seq") != "1" {
			t.Error(again)
		}
		if ack := other.Call("publish", `{"room":"room","id":"m1","data":3}`); wiretest.Field(t, ack, "duplicate") != "" || wiretest.Field(t, ack, "seq") != "2" {
			t.Error("another user's: ", ack)
		}
		a.Packet()
		a.Packet()
		a.Nothing()
	})
}

func TestHistoryAndSince(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.member("a", "room")
		var offsets []string
		for i := range 10 {
			offsets = append(offsets, wiretest.Field(t, a.Call("publish", fmt.Sprintf(`{"room":"room","data":%d}`, i)), "offset"))
		}
		data := func(ack string) (out []int) {
			var messages []struct{ Data int }
			if err := json.Unmarshal([]byte(wiretest.Field(t, ack, "messages")), &messages); err != nil {
				t.Fatal(err, ack)
			}
			for _, m := range messages {
				out = append(out, m.Data)
			}
			return out
		}
		tests := []struct {
			event, arg, key, value string
			want                   []int
		}{
			{"join", `"history":3`, "recovered", "false", []int{7, 8, 9}},
			{"join", `"history":0`, "recovered", "false", nil},
			{"join", `"since":` + offsets[6], "recovered", "true", []int{7, 8, 9}},
			{"join", `"history":1,"since":` + offsets[6], "recovered", "true", []int{7, 8, 9}},
			{"join", `"since":` + offsets[9], "recovered", "true", nil},
			{"join", `"history":2,"since":"otherepoch.5.5.abc"`, "recovered", "false", []int{8, 9}},
			{"history", `"limit":3`, "more", "true", []int{7, 8, 9}},
			{"history", `"limit":3,"before":` + offsets[5], "more", "true", []int{2, 3, 4}},
			{"history", `"limit":5,"before":` + offsets[3], "more", "false", []int{0, 1, 2}},
			{"history", `"before":` + offsets[0], "more", "false", nil},
		}
		for _, tt := range tests {
			p := r.guest("p")
			ack := p.Call(tt.event, `{"room":"room",`+tt.arg+`}`)
			if got := data(ack); !slices.Equal(got, tt.want) || wiretest.Field(t, ack, tt.key) != tt.value {
				t.Errorf("%s %s: %s", tt.event, tt.arg, ack)
			}
			if tt.event == "join" && wiretest.Field(t, ack, "offset") != offsets[9] {
				t.Error("offset: ", ack)
			}
		}
		p := r.guest("p")
		if f := failure(t, p.Call("history", `{"room":"room","before":"otherepoch.5.5.abc"}`)); f.Code != codeGap {
			t.Error(f)
		}
		if f := failure(t, p.Call("history", `{"room":"cold","before":"otherepoch.5.5.abc"}`)); f.Code != codeGap {
			t.Error(f)
		}
	})
}
