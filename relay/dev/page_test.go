package dev

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func (r *rig) state(path string) (s State) {
	r.t.Helper()
	res := r.get("GET", "localhost:8080", path)
	if err := json.Unmarshal([]byte(text(r.t, res)), &s); err != nil || res.StatusCode != 200 {
		r.t.Fatal(res.Status, err)
	}
	return s
}

// The state has who is connected, in which rooms, and what was asked: hostile names as they are, in JSON.
func TestState(t *testing.T) {
	r := start(t, "")
	if s := r.state(statePath); s.Sessions == nil || s.Rooms == nil || s.Events == nil || s.Total != 0 || s.Last != 0 || s.Relay != "relay-1" {
		t.Errorf("%+v", s)
	}
	p := r.Open()
	w, _ := p.Connect(`{"name":"<img src=x onerror=alert(1)>"}`)
	p.Call("join", `{"room":"</script><b>"}`)
	p.Call("<i>", `"\u001b[2J"`)
	s := r.state(statePath)
	if s.Total != 1 || len(s.Sessions) != 1 || s.Sessions[0].User.ID != w.User.ID || s.Sessions[0].User.Name != "<img src=x onerror=alert(1)>" ||
		strings.Join(s.Sessions[0].Rooms, ",") != "</script><b>,lobby" || s.Sessions[0].Transport != "websocket" || s.Sessions[0].Since == 0 {
		t.Errorf("%+v", s.Sessions)
	}
	if len(s.Rooms) != 2 || s.Rooms[0] != (RoomState{"</script><b>", 1}) || s.Rooms[1] != (RoomState{"lobby", 1}) {
		t.Errorf("%+v", s.Rooms)
	}
	byType := map[string]Record{}
	for _, e := range s.Events {
		byType[string(e.Type)] = e
	}
	if byType["connect"].By != byNobody || byType["join"].Name != "</script><b>" || byType["join"].Session != s.Sessions[0].ID || !strings.Contains(byType["publish"].Detail, `"event":"<i>"`) {
		t.Errorf("%+v", s.Events)
	}
	if out := r.out.String(); strings.ContainsRune(out, 0x1b) {
		t.Errorf("%q", out)
	}
	q := r.Open()
	second, _ := q.Connect("")
	if some, total := r.srv.Connected(1); total != 2 || len(some) != 1 || some[0].User.ID != w.User.ID {
		t.Errorf("%d of %d", len(some), total)
	}
	if some, _ := r.srv.Connected(9); len(some) != 2 || some[1].User.ID != second.User.ID || strings.Join(some[1].Rooms, ",") != "lobby" {
		t.Errorf("%+v", some)
	}
	last := s.Last
	if s := r.state(statePath + "?after=" + jsonNumber(last)); len(s.Events) > 0 && s.Events[0].N <= last {
		t.Errorf("%+v", s.Events)
	}
	if s := r.state(statePath + "?after=999999"); len(s.Events) < int(last) { // of a run before this one
		t.Errorf("%d events of %d", len(s.Events), last)
	}
}

func jsonNumber(n uint64) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// The page is files of its own origin alone, under a strict policy, and under no name that others may own.
func TestPage(t *testing.T) {
	r := start(t, "")
	for path, kind := range map[string]string{"/_dev": "text/html", scriptPath: "text/javascript", stylePath: "text/css", statePath: "application/json"} {
		res := r.get("GET", "127.0.0.1:8080", path)
		policy := res.Header.Get("Content-Security-Policy")
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) || res.Header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(policy, "default-src 'none'; script-src 'self'; style-src 'self'") || strings.Contains(policy, "unsafe") {
			t.Error(path, res.Status, res.Header)
		}
	}
	page := string(pageHTML)
	if strings.Contains(page, "<style") || strings.Count(page, "<script") != strings.Count(page, `<script src="/_dev/`) || strings.Contains(page, "//") ||
		strings.Contains(page, " on") && strings.Contains(page, `="javascript`) {
		t.Error("the page has something inline, or from elsewhere")
	}
	for _, markup := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		if strings.Contains(string(pageScript), markup) {
			t.Error("the script has ", markup)
		}
	}
	for host, want := range map[string]int{"localhost:8080": 200, "LOCALHOST": 200, "[::1]:8080": 200, "192.168.1.7:8080": 200, "evil.example:8080": 403, "evil.example": 403, "": 403, "localhost.evil.example": 403} {
		for _, path := range []string{path, statePath} {
			if res := r.get("GET", host, path); res.StatusCode != want || want == 403 && strings.Contains(text(t, res), "sessions") {
				t.Error(host, path, res.Status)
			}
		}
	}
	if res := r.get("GET", "localhost", "/_dev/nothing"); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
	if res := r.get("GET", "localhost", "/healthz"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}
