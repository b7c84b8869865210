package relay

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/wiretest"
)

func TestAPIPublish(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, p := r.api(t), r.member("g", "lobby")
		first := a.want(201, "POST", "rooms/lobby/messages", `{"data":{"b":1.10,"a":"<é>"},"id":"m1"}`)
		heard := p.Packet()
		if !strings.HasPrefix(heard, `42["message",{"room":"lobby","seq":1,"id":"m1","from":{"id":"app:app","name":"app","guest":false},"data":{"b":1.10,"a":"<é>"},"at":`) {
			t.Error(heard)
		}
		if offset := wiretest.Field(t, first.body, "offset"); !strings.HasSuffix(heard, ","+offset+"]") {
			t.Errorf("%s, and heard %s", first.body, heard)
		}
		for _, again := range []said{a.want(200, "POST", "rooms/lobby/messages", `{"data":1,"id":"m1"}`), a.want(200, "POST", "rooms/lobby/messages", `{"data":1}`, "Idempotency-Key", "m1"),
			a.want(200, "POST", "rooms/lobby/messages", `{"data":1,"id":"m1"}`, "Idempotency-Key", `"m1"`)} {
			if want := strings.TrimSuffix(first.body, "}\n") + `,"duplicate":true}` + "\n"; again.body != want {
				t.Errorf("%s, not %s", again.body, want)
			}
		}
		p.Nothing()
		a.want(201, "POST", "rooms/lobby/messages", `{"event":"chat","args":["x",[1]],"as":{"id":"asha"}}`)
		if got := p.Packet(); !strings.HasPrefix(got, `42["chat","x",[1],"`) {
			t.Error(got)
		}
		a.want(201, "POST", "rooms/lobby/messages", `{"event":"none","as":{"id":"~Ab3dEf6hIj9lMn0p"}}`)
		if got := p.Packet(); !strings.HasPrefix(got, `42["none","`) {
			t.Error(got)
		}
		made := a.want(201, "POST", "rooms/lobby/messages", `{"data":null,"as":{"id":"asha","name":"Asha"}}`)
		if got := p.Packet(); !strings.Contains(got, `"from":{"id":"asha","name":"Asha","guest":false},"data":null`) || len(wiretest.Field(t, made.body, "id")) != 13 {
			t.Error(got, made.body)
		}
		long := strings.Repeat("u", 128) // longer than names are
		a.want(201, "POST", "rooms/lobby/messages", `{"data":1,"as":{"id":"`+long+`"}}`)
		if got := p.Packet(); !strings.Contains(got, `"from":{"id":"`+long+`","name":"`+long+`"`) {
			t.Error(got)
		}
		page := a.want(200, "GET", "rooms/lobby/messages", "").body
		for _, want := range []string{`"data":{"b":1.10,"a":"<é>"}`, `"event":"chat","args":["x",[1]]`, `"from":{"id":"~Ab3dEf6hIj9lMn0p","name":"guest-ab3d","guest":true},"at"`, `"more":false`} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %s", page, want)
			}
		}
		for _, bad := range []string{`{}`, `{"data":1,"event":"e"}`, `{"data":1,"args":[]}`, `{"event":"message"}`, `{"event":"connect"}`, `{"data":1,"as":{"id":"~x"}}`, `{"data":1,"as":{"id":"a\u0000"}}`,
			`{"data":1,"as":{"id":"a","name":"` + strings.Repeat("x", 65) + `"}}`, `{"data":1,"id":"` + strings.Repeat("x", 65) + `"}`, `{"data":{"$binary":"?"}}`, `{"data":1`, `{"data":1,"data":2}`, `{"data":"` + "\xff" + `"}`,
			`{"data":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`} {
			if s := a.want(400, "POST", "rooms/lobby/messages", bad); s.code(t) != "bad_request" {
				t.Error(bad, s.body)
			}
		}
		for _, bad := range []string{`[]`, `{"data":1,"id":""}`, `{"data":1,"room":"x"}`, `{"event":5}`, `{"data":1,"as":{}}`, `1`} {
			if s := a.want(422, "POST", "rooms/lobby/messages", bad); s.code(t) != "bad_request" || !strings.Contains(s.body, `"location":"body`) {
				t.Error(bad, s.body)
			}
		}
		a.want(400, "POST", "rooms/lobby/messages", `{"data":1,"id":"a"}`, "Idempotency-Key", "b")
		a.want(400, "POST", "rooms/lobby/messages", `{"data":1}`, "Idempotency-Key", "\xff")
		a.want(400, "POST", "rooms/"+strings.Repeat("x", 201)+"/messages", `{"data":1}`)
		a.want(400, "POST", "rooms/lobby/messages", "")
		a.want(415, "POST", "rooms/lobby/messages", "data=1", "Content-Type", "application/x-www-form-urlencoded")
		a.want(422, "POST", "rooms/lobby/messages", `[]`, "Content-Type", "Application/JSON") // it is read
		a.want(422, "POST", "rooms/lobby/messages", `[]`, "Content-Type", "APPLICATION/JSON; charset=UTF-8")
		a.want(413, "POST", "rooms/lobby/messages", `{"data":{"$binary":"`+strings.Repeat("AAAA", 334)+`"}}`) // what it stands for counts
		if s := a.want(413, "POST", "rooms/lobby/messages", `{"data":"`+strings.Repeat("x", 1000)+`"}`); s.code(t) != "too_large" {
			t.Error(s.body)
		}
		if s := a.want(413, "POST", "rooms/lobby/messages", `{"data":"`+strings.Repeat("x", 100_000)+`"}`); s.code(t) != "too_large" {
			t.Error(s.body)
		}
		p.Nothing()
	}, apiKeys, "MAX_PAYLOAD=1000")
}

// A room is any name, percent-encoded.
func TestAPIRoomNames(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		for _, name := range []string{"a b", "ü/ö", "a//b", "%", "?x=1", "#", "a;b", "+", "messages", "x."} {
			s := a.want(201, "POST", "rooms/"+inPath(name)+"/messages", `{"data":1}`)
			quoted, _ := json.Marshal(name)
			if got := wiretest.Field(t, s.body, "room"); got != string(quoted) {
				t.Errorf("%q: %s", name, s.body)
			}
		}
		for _, name := range []string{".", ".."} { // which no URL can name
			if s := a.want(200, "POST", "messages", `{"messages":[{"room":"`+name+`","data":1}]}`); !strings.Contains(s.body, `"seq":1`) {
				t.Error(s.body)
			}
		}
	}, apiKeys)
}

func TestAPIBinary(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, p := r.api(t), r.member("g", "a")
		a.want(201, "POST", "rooms/a/messages", `{"data":{"f":{"$binary":"AAH/"},"g":[{"$binary":""}]}}`)
		if got := p.Packet(); !strings.HasPrefix(got, `452-["message",`) || !strings.Contains(got, `"data":{"f":{"_placeholder":true,"num":0},"g":[{"_placeholder":true,"num":1}]}`) {
			t.Error(got)
		}
		if f, g := p.NextFrame(), p.NextFrame(); string(f.Payload) != "\x00\x01\xff" || len(g.Payload) != 0 {
			t.Errorf("%q, %q", f.Payload, g.Payload)
		}
		a.want(201, "POST", "rooms/a/messages", `{"event":"e","args":[{"$binary":"YQ=="},{"$binary":"Yg=="}]}`)
		got := a.want(200, "GET", "rooms/a/messages", "").body
		for _, want := range []string{`"data":{"f":{"$binary":"AAH/"},"g":[{"$binary":""}]}`, `"args":[{"$binary":"YQ=="},{"$binary":"Yg=="}]`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %s", got, want)
			}
		}
		for _, bad := range []string{`{"data":[` + strings.Repeat(`{"$binary":""},`, 10) + `{"$binary":""}]}`, `{"data":[{"$binary":""},{"_placeholder":true,"num":0}]}`} {
			a.want(400, "POST", "rooms/a/messages", bad)
		}
	}, apiKeys)
}

func TestAPIBatch(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, p := r.api(t), r.member("g", "a")
		var all []string
		for i := range 250 {
			all = append(all, fmt.Sprintf(`{"room":"%s","data":%d,"id":"m%d"}`, []string{"a", "b"}[i%2], i, i))
		}
		all[100] = `{"room":"","data":1}`
		all[101] = `{"room":"a","id":"m0","data":"again"}`
		noMessages := map[int]string{102: `{"data":1}`, 103: `{"room":5,"data":1}`, 104: `7`, 105: `{"room":"a","data":1,"more":2}`, 106: `{"room":"a","data":1,"id":""}`,
			107: `{"room":"a","args":5,"event":"e"}`, 108: `null`, 109: `{"room":"a","data":1,"as":"ben"}`}
		for i, is := range noMessages {
			all[i] = is
		}
		body := `{"messages":[` + strings.Join(all, ",") + `]}`
		s := a.want(200, "POST", "messages", body)
		var got struct {
			Results []struct {
				Room, ID, Code, Detail string
				Seq                    int
				Duplicate              bool
			}
		}
		if err := json.Unmarshal([]byte(s.body), &got); err != nil || len(got.Results) != 250 {
			t.Fatal(err, s.body)
		}
		for i, res := range got.Results {
			switch {
			case i == 100:
				if res.Code != "bad_request" {
					t.Errorf("%d: %+v", i, res)
				}
			case i == 101:
				if !res.Duplicate || res.Seq != 1 {
					t.Errorf("%d: %+v", i, res)
				}
			case noMessages[i] != "":
				if res.Code != "bad_request" || !strings.HasPrefix(res.Detail, fmt.Sprintf("body.messages[%d]", i)) {
					t.Errorf("%d: %+v", i, res)
				}
			case res.ID != fmt.Sprint("m", i) || res.Code != "" || res.Duplicate:
				t.Errorf("%d: %+v", i, res)
			}
		}
		for i := 0; i < 250; i += 2 {
			if i == 100 || noMessages[i] != "" {
				continue
			}
			if got := p.Packet(); !strings.Contains(got, fmt.Sprintf(`"id":"m%d"`, i)) {
				t.Errorf("%d: %s", i, got)
			}
		}
		p.Nothing()
		one := `{"room":"a","data":1}`
		a.want(422, "POST", "messages", `{"messages":[`+strings.Repeat(one+",", 1000)+one+`]}`)
		for _, bad := range []string{`{"messages":[]}`, `{}`, `{"messages":{}}`, `{"messages":null}`, `{"messages":[` + one + `],"room":"a"}`, `[]`} {
			if s := a.want(422, "POST", "messages", bad); !strings.Contains(s.body, `"location":"body`) {
				t.Error(bad, s.body)
			}
		}
		a.want(200, "POST", "messages", `{"messages":[`+strings.Repeat(one+",", 999)+one+`]}`)
	}, apiKeys, "OUTBOX_BYTES=1000000")
}

func TestAPIHistory(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		for i := range 10 {
			a.want(201, "POST", "rooms/a/messages", fmt.Sprintf(`{"data":%d}`, i))
		}
		var seen []int
		for before, more := "", true; more; {
			var page struct {
				Messages []struct {
					Seq    int
					Offset string
				}
				More bool
			}
			if err := json.Unmarshal([]byte(a.want(200, "GET", "rooms/a/messages?limit=4"+before, "").body), &page); err != nil || len(page.Messages) == 0 {
				t.Fatal(err, page)
			}
			for _, m := range page.Messages {
				seen = append(seen, m.Seq)
			}
			before, more = "&before="+page.Messages[0].Offset, page.More
		}
		if fmt.Sprint(seen) != "[7 8 9 10 3 4 5 6 1 2]" {
			t.Error(seen)
		}
		a.want(200, "GET", "rooms/empty/messages", "")
		a.want(400, "GET", "rooms/a/messages?before=x", "")
		a.want(410, "GET", "rooms/a/messages?before=other.9.9.0123456789", "")
		a.want(422, "GET", "rooms/a/messages?limit=0", "")
		a.want(422, "GET", "rooms/a/messages?limit=257", "")
		a.want(422, "GET", "rooms/a/messages?key=x", "")
	}, apiKeys)
}

func TestAPIRoomsAndMembers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		r.member("ann", "a").Call("join", `{"room":"b"}`)
		r.member("ben", "a")
		rooms := map[string]int{}
		for cursor := ""; ; {
			var page struct {
				Rooms []struct {
					Room  string
					Count int
				}
				Cursor string
			}
			if err := json.Unmarshal([]byte(a.want(200, "GET", "rooms?limit=1"+cursor, "").body), &page); err != nil {
				t.Fatal(err)
			}
			for _, one := range page.Rooms {
				rooms[one.Room] = one.Count
			}
			if page.Cursor == "" {
				break
			}
			cursor = "&cursor=" + page.Cursor
		}
		if fmt.Sprint(rooms) != "map[a:2 b:1]" {
			t.Error(rooms)
		}
		if got := a.want(200, "GET", "rooms/a/members", "").body; !strings.HasPrefix(got, `{"count":2,"members":[{"id":"~`) {
			t.Error(got)
		}
		if got := a.want(200, "GET", "rooms/none/members", "").body; got != `{"count":0,"members":[]}`+"\n" {
			t.Error(got)
		}
	}, apiKeys)
}

func TestAPIUsers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, p := r.api(t), r.user("asha", "*:join")
		var list struct {
			Sessions []struct{ ID string }
		}
		if err := json.Unmarshal([]byte(a.want(200, "GET", "users/asha/sessions", "").body), &list); err != nil || len(list.Sessions) != 1 {
			t.Fatal(err, list)
		}
		session := list.Sessions[0].ID
		if got := a.want(200, "GET", "users/nobody/sessions", "").body; got != `{"sessions":[]}`+"\n" {
			t.Error(got)
		}
		for _, of := range []string{"users/asha", "sessions/" + session} {
			a.want(202, "POST", of+"/emit", `{"event":"hi","args":[{"$binary":"YQ=="},1]}`)
			p.Expect(`451-["hi",{"_placeholder":true,"num":0},1]`)
			p.NextFrame()
			a.want(204, "POST", of+"/join", `{"room":"a"}`)
			if got := p.Packet(); !strings.HasPrefix(got, `42["joined",`) {
				t.Error(got)
			}
			a.want(202, "POST", "rooms/a/emit", `{"event":"hey"}`)
			p.Expect(`42["hey",null]`)
			a.want(204, "POST", of+"/leave", `{"room":"a"}`)
			p.Expect(`42["left",{"rooms":["a"]}]`)
		}
		for _, bad := range []string{`{"event":"left"}`, `{"event":""}`} {
			a.want(400, "POST", "users/asha/emit", bad)
			a.want(400, "POST", "rooms/a/emit", bad)
		}
		a.want(202, "POST", "users/nobody/emit", `{"event":"hi"}`)
		if s := a.want(404, "POST", "users/nobody/join", `{"room":"a"}`); s.code(t) != "not_connected" {
			t.Error(s.body)
		}
		a.want(204, "POST", "users/nobody/leave", `{"room":"a"}`)
		a.want(204, "POST", "users/nobody/disconnect", "")
		a.want(400, "POST", "users/asha/join", `{"room":""}`)
		for _, nobody := range []string{"a%00", "%ff", strings.Repeat("x", 257)} {
			a.want(400, "POST", "users/"+nobody+"/disconnect", "")
			a.want(400, "POST", "sessions/"+nobody+"/emit", `{"event":"hi"}`)
			a.want(400, "GET", "users/"+nobody+"/sessions", "")
		}
		a.want(204, "POST", "users/asha/join", `{"room":"a"}`)
		p.Packet()
		if s := a.want(409, "POST", "users/asha/join", `{"room":"b"}`); s.code(t) != "full" {
			t.Error(s.body)
		}
		a.want(204, "POST", "sessions/"+session+"/disconnect", "")
		p.Expect("41")
		p.Closed()
		synctest.Wait()
		p = r.user("asha", "*:join")
		a.want(204, "POST", "users/asha/disconnect", "")
		p.Expect("41")
	}, apiKeys, "AUTH_SECRET="+secret, "MAX_ROOMS=1")
}

func TestAPIRevokeAndMute(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, p, ben := r.api(t), r.user("asha", "*:join,publish"), r.user("ben", "*:join,publish")
		ben.Call("join", `{"room":"a"}`)
		a.want(204, "POST", "mutes", `{"user":"ben","room":"a","seconds":10}`)
		if got := codeOf(t, ben.Call("publish", `{"room":"a","data":1}`)); got != "muted" {
			t.Error(got)
		}
		a.want(204, "POST", "mutes", `{"user":"ben","room":"a","seconds":0}`)
		if got := codeOf(t, ben.Call("publish", `{"room":"a","data":1}`)); got != "ok" {
			t.Error(got)
		}
		a.want(422, "POST", "mutes", `{"user":"ben","seconds":-1}`)
		for _, bad := range []string{`{"user":"","seconds":1}`, `{"user":"~x","seconds":1}`, `{"user":"ben","room":"a\nb","seconds":1}`, `{"user":"ben","room":"` + strings.Repeat("r", 201) + `","seconds":1}`} {
			if got := a.want(400, "POST", "mutes", bad).body; strings.Contains(got, `\n`) { // one reason
				t.Error(got)
			}
		}
		a.want(204, "POST", "revocations", `{"user":"asha"}`)
		p.Packet()
		p.Expect("41")
		if got := r.refused(`{"token":"` + r.mint("asha", time.Hour, "*:join") + `"}`); !strings.Contains(got, `"code":"revoked"`) {
			t.Error(got)
		}
		<-time.After(time.Second) // by then the token is of a second that is over
		a.want(204, "POST", "revocations", `{"jti":"token-of-ben","reauth":true}`)
		for got := ""; !strings.Contains(got, "token_expires"); {
			got = ben.Packet()
		}
		if ack := ben.Call("token", `{"token":"`+r.mint("ben", time.Hour, "*:join,publish")+`"}`); wiretest.Field(t, ack, "ok") != "true" { // one that was issued later is good
			t.Error(ack)
		}
		a.want(204, "POST", "revocations", `{"session":"iN8gjPQYz-_0aBcD","issuedBefore":"2026-01-31T12:00:00Z"}`)
		for _, bad := range []string{`{}`, `{"user":"a","jti":"b"}`, `{"session":"x"}`, `{"user":"~x"}`} {
			a.want(400, "POST", "revocations", bad)
		}
		a.want(422, "POST", "revocations", `{"user":"a","issuedBefore":"yesterday"}`)
	}, apiKeys, "AUTH_SECRET="+secret)
}

// What describes the API says nothing that it does not do, and its page needs nothing from elsewhere.
func TestAPIDocuments(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		if a.doc.OpenAPI != "3.1.0" || a.doc.Components.Schemas["Problem"] == nil || a.doc.Components.Schemas["ErrorModel"] != nil {
			t.Errorf("%+v", a.doc)
		}
		s := a.want(200, "GET", "", "", "Authorization", "")
		policy := s.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
			t.Error(policy)
		}
		for _, banned := range []string{"<script", "http://", "https://", "src=", "@import", "url("} {
			if strings.Contains(s.body, banned) {
				t.Errorf("the page has %s", banned)
			}
		}
		for path, all := range a.doc.Paths {
			for method, op := range all {
				if !strings.Contains(s.body, strings.ToUpper(method)+" "+path+"<") || !strings.Contains(s.body, `id="`+op.OperationID+`"`) {
					t.Errorf("the page lacks %s %s", method, path)
				}
			}
		}
	}, apiKeys)
}

// Without keys there is no API, and the answer says what is missing.
func TestAPIOff(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		for _, path := range []string{"/api/v1/", "/api/v1/openapi.json", "/api/v1/rooms"} {
			status, body := r.Request("GET", path, http.Header{"Authorization": {"Bearer " + everyKey}})
			if status != 404 || !strings.Contains(body, `"code":"not_found"`) || !strings.Contains(body, "set API_KEYS") {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
}

func TestAPIDrains(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		r.srv.hub.Drain()
		r.srv.fleet.Drain()
		a.want(201, "POST", "rooms/a/messages", `{"data":1}`)
		a.want(202, "POST", "users/a/emit", `{"event":"e"}`)
	}, apiKeys)
}

func TestAPIMetrics(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		a.want(201, "POST", "rooms/a/messages", `{"data":1}`)
		a.want(400, "POST", "rooms/a/messages", `{}`)
		a.as("").want(401, "GET", "rooms", "")
		for series, want := range map[string]float64{`setu_api_requests_total{class="2xx",operation="publish"}`: 1, `setu_api_requests_total{class="4xx",operation="publish"}`: 1,
			`setu_api_requests_total{class="4xx",operation="none"}`: 1, `setu_api_requests_total{class="2xx",operation="document"}`: 1} {
			if got := wiretest.Series(t, r.srv.Metrics().Handler())[series]; got != want {
				t.Errorf("%s is %v", series, got)
			}
		}
	}, apiKeys)
}
