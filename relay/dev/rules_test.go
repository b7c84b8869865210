package dev

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"setu/relay/metrics"
)

const question = `{"type":"event","session":"s1","user":{"id":"u1","name":"Ann"},"event":"chat message","args":["hi",{"n":1.10}],"auth":{"team":"x"}}`

// A rule answers what it says, with what the request has where it says so.
func TestRules(t *testing.T) {
	rules, err := ParseRules([]byte(`{
		"connect": {"user": {"id": "$auth.team"}, "rooms": ["a", "$auth.none"]},
		"event": {"chat message": {"ack": "$args", "emit": [{"room": "lobby", "event": "$event", "args": ["$user.name", "$args.1.n", "$args.7", "$$5", 1.10]}]},
			"chat *": {"ack": ["long"]}, "c*": {"ack": ["short"]}, "ban": {"refuse": {"code": "banned", "message": "<not> $user.name"}}},
		"join": {"secret-*": {"refuse": {"code": "no"}}},
		"publish": {"lobby": {"message": {"data": "$message.data"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind       metrics.Hook
		name, rule string
		status     int
		want       string
	}{
		{metrics.HookConnect, "", "connect", 200, `{"rooms":["a",null],"user":{"id":"x"}}`},
		{metrics.HookEvent, "chat message", "chat message", 200, `{"ack":["hi",{"n":1.10}],"emit":[{"args":["Ann",1.10,null,"$5",1.10],"event":"chat message","room":"lobby"}]}`},
		{metrics.HookEvent, "chat messages", "chat *", 200, `{"ack":["long"]}`},
		{metrics.HookEvent, "c", "c*", 200, `{"ack":["short"]}`},
		{metrics.HookEvent, "ban", "ban", 403, `{"code":"banned","message":"<not> $user.name"}`},
		{metrics.HookJoin, "secret-1", "secret-*", 403, `{"code":"no"}`},
		{metrics.HookPublish, "lobby", "lobby", 200, `{"message":{"data":null}}`},
		{metrics.HookEvent, "draw", "", 0, ""},
		{metrics.HookJoin, "lobby", "", 0, ""},
		{metrics.HookPresence, "lobby", "", 0, ""},
	} {
		a, rule := rules.find(c.kind, c.name)
		if rule != c.rule || (a == nil) != (c.status == 0) {
			t.Errorf("%s %s: rule %q, %v", c.kind, c.name, rule, a)
			continue
		}
		if a == nil {
			continue
		}
		if status, body := a.fill([]byte(question)); status != c.status || string(body) != c.want {
			t.Errorf("%s %s: %d %s", c.kind, c.name, status, body)
		}
	}
	if a, _ := (*Rules)(nil).find(metrics.HookConnect, ""); a != nil {
		t.Error("no file answers ", a)
	}
}

// What is wrong with a file is said, and where.
func TestBadRules(t *testing.T) {
	for text, why := range map[string]string{
		"":                                  "line 1: ",
		"{\n\"event\": {\n\"a\": {]}}":      "line 3: ",
		"[]":                                "the file is no object of rules",
		"{\n\n\"events\": {}}":              "line 3: /events is unknown: it is connect, event, join or publish",
		`{"event": {"a": {}, "a": {}}}`:     "duplicate",
		`{"event": []}`:                     "/event is no object of rules",
		`{"event": {"a": []}}`:              `event, "a": what a rule answers is an object`,
		`{"event": {"a": null}}`:            `event, "a": what a rule answers is an object`,
		`{"connect": 7}`:                    "connect: what a rule answers is an object",
		`{"event": {"a": {"acks": []}}}`:    `there is no "acks" in an answer to event: it has ack, data`,
		`{"connect": {"ack": []}}`:          `there is no "ack" in an answer to connect`,
		`{"join": {"a": {"rooms": []}}}`:    `there is no "rooms" in an answer to join`,
		`{"join": {"a": {"refuse": "no"}}}`: "refuse is {",
		`{"join": {"a": {"refuse": {}}}}`:   "refuse is {",
		`{"join": {"a": {"refuse": {"code": "` + strings.Repeat("x", 65) + `"}}}}`: "refuse is {",
		`{"join": {"a": {"refuse": {"code": "c", "message": 7}}}}`:                 "which is a string",
		`{"join": {"a": {"refuse": {"code": "c", "why": "x"}}}}`:                   "which is a string",
		`{"join": {"a": {"refuse": {"code": "c"}, "emit": []}}}`:                   "does nothing else",
	} {
		if _, err := ParseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, not %s", text, err, why)
		}
	}
}

// The rules are those that the file has now; what can't be read changes nothing, and is told of once.
func TestRulesAreReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.json")
	at := time.Now()
	write := func(text string) {
		t.Helper()
		at = at.Add(time.Second)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openRules(path, nil); err == nil {
		t.Error("a file that is not there")
	}
	write(`{"event": {"a": {}}`)
	if _, err := openRules(path, nil); err == nil || !strings.Contains(err.Error(), "rules.json: line 1") {
		t.Error(err)
	}
	write(`{"event": {"a": {}}}`)
	var said []error
	f, err := openRules(path, func(err error) { said = append(said, err) })
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		a, _ := f.current().find(metrics.HookEvent, name)
		return a != nil
	}
	if !has("a") || has("b") {
		t.Error("not as the file has it")
	}
	write(`{"event": {"b": {}}}`)
	if has("a") || !has("b") {
		t.Error("not as the file has it now")
	}
	write(`{"event":`)
	again := has("b") // which says nothing more
	if !again || !has("b") || len(said) != 1 || !strings.Contains(said[0].Error(), "stay as they were") {
		t.Error(said)
	}
	_ = os.Remove(path)
	if !has("b") || len(said) != 1 {
		t.Error(said)
	}
	write(strings.Repeat(" ", maxRules) + "{}")
	if !has("b") || len(said) != 2 {
		t.Error(said)
	}
	if none, _ := openRules("", nil); none.current() != nil {
		t.Error("rules without a file")
	}
}

// No file makes it fail, and what a rule answers is JSON.
func FuzzRules(f *testing.F) {
	f.Add([]byte(`{"connect": {"user": {"id": "$auth.id"}, "rooms": ["a"]}, "event": {"a*": {"ack": ["$args.0", "$$", 1e400]}}}`), "abc", []byte(question))
	f.Add([]byte(`{"event": {"": {"refuse": {"code": "x", "message": "\u2028"}}}, "join": {"*": {}}}`), "", []byte(`{"args":[[1]]}`))
	f.Add([]byte(`{"publish": {"a": {"message": "$message..x"}}}`), "a", []byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte, name string, request []byte) {
		rules, err := ParseRules(text)
		if err != nil || !json.Valid(request) {
			return
		}
		for _, kind := range []metrics.Hook{metrics.HookConnect, metrics.HookEvent, metrics.HookJoin, metrics.HookPublish} {
			a, _ := rules.find(kind, name)
			if a == nil {
				continue
			}
			status, body := a.fill(request)
			if (status != 200 && status != 403) || !json.Valid(body) {
				t.Errorf("%d %s", status, body)
			}
		}
	})
}

// The rules of docs/dev.md, and of the README, are rules.
func TestDocumentedRules(t *testing.T) {
	doc, err := os.ReadFile("../../docs/dev.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(doc), "```json\n")
	text, _, _ = strings.Cut(text, "```")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(readme), "       {\"event\"")
	line, _, _ = strings.Cut(line, "\n")
	for _, text := range []string{text, "{\"event\"" + line} {
		if rules, err := ParseRules([]byte(text)); err != nil || !found || len(rules.byKind[metrics.HookEvent]) != 2 {
			t.Errorf("%s: %v", text, err)
		}
	}
	for name := range devDefaults {
		if !strings.Contains(string(doc), "| `"+name+"` |") {
			t.Errorf("no row of %s", name)
		}
	}
}
