package client

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"setu/relay/socketio"
)

type vector struct{ name, packet, meaning string }

// vectors reads the golden vectors of Setu's events, which both sides must follow.
func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../socketio/testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		packet, err := strconv.Unquote(field[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, vector{field[0], packet, field[2]})
	}
	return out
}

// Every event of the relay reaches the Handler.
func TestVectorsFromTheRelay(t *testing.T) {
	want := map[string]string{
		"event welcome":                                  "welcome r1",
		"event message":                                  "message lobby 3",
		"event message, compact":                         "message lobby 3",
		"event message, compact, of a name":              "message lobby 4",
		"event signal":                                   `signal lobby Ben {"typing":true}`,
		"event presence":                                 "presence lobby 2 +1 -0",
		"event presence, a large room":                   "presence lobby 1200 +0 -0",
		"event message, binary":                          `message lobby 4 ["attachment 0" "attachment 1"]`,
		"event signal, binary":                           `signal lobby Ben {"stroke":{"_placeholder":true,"num":0}} ["attachment 0"]`,
		"event reset":                                    "reset lobby epoch 0",
		"event message, named event as an object":        `event chat message ["hi",{"n":1.10}] lobby 7`,
		"event message, binary named event as an object": `event photo [{"_placeholder":true,"num":0}] lobby 8 ["attachment 0"]`,
		"event message, named event of an older relay":   `event chat message ["hi",{"n":1.10}] lobby 7`,
		"event signal, named event as an object":         "signal lobby Ben typing[true]",
		"event welcome, rooms of CONNECT":                "welcome r1",
		"event error_event":                              "error relay: join the room first (not_joined)",
	}
	for _, v := range vectors(t) {
		if !strings.HasPrefix(v.name, "event ") {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
				s := r.next()
				join(t, c, s, "lobby", JoinOptions{})
				s.send("4"+v.packet, attachmentsOf(t, v)...)
				if got := l.take(); got != want[v.name] {
					t.Errorf("told: %q, want %q", got, want[v.name])
				}
			})
		})
	}
}

// attachmentsOf returns the frames that follow a vector's packet.
func attachmentsOf(t *testing.T, v vector) (frames []string) {
	p, err := socketio.Parse([]byte(v.packet))
	if err != nil {
		t.Fatal(err)
	}
	for n := range p.Attachments {
		frames = append(frames, fmt.Sprint("attachment ", n))
	}
	return frames
}

func TestVectorOfAHistory(t *testing.T) {
	all := vectors(t)
	v := all[slices.IndexFunc(all, func(v vector) bool { return v.name == "history, answer with attachments" })]
	p, err := socketio.Parse([]byte(v.packet))
	if err != nil {
		t.Fatal(err)
	}
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		go func() {
			q := s.request("history")
			q.ackBinary(string(p.Data[1:len(p.Data)-1]), attachmentsOf(t, v)...)
		}()
		h, err := c.History(t.Context(), "lobby", "", 20)
		if err != nil || len(h.Messages) != 3 {
			t.Fatalf("%+v %v", h, err)
		}
		for i, want := range []string{`{"picture":` + one + `} ["attachment 0"]`, `{"text":"hi"} []`,
			`[` + one + `,` + two + `] ["attachment 1" "attachment 2"]`} {
			if got := inside(h.Messages[i]); got != want {
				t.Errorf("message %d: %s, want %s", i, got, want)
			}
		}
	})
}

// The client's requests are those of the vectors, except for the ack's id.
func TestVectorsFromTheClient(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		ctx := t.Context()
		asks := map[string]func(){
			"join":          func() { c.Join(ctx, "lobby", JoinOptions{}) },
			"join with all": func() { c.Join(ctx, "lobby", JoinOptions{Since: "e1.a.1.x1", History: 50, Presence: true}) },
			"leave":         func() { c.Leave(ctx, "lobby") },
			"publish":       func() { c.Publish(ctx, "lobby", json.RawMessage(`{"text":"hi","n":1.10}`), "m3") },
			"publish, binary": func() {
				c.PublishBinary(ctx, "lobby", map[string]any{"picture": Attachment(0)}, [][]byte{[]byte("cat")}, "m4")
			},
			"publish, named event": func() {
				c.PublishEvent(ctx, "lobby", "chat message", []any{"hi", json.RawMessage(`{"n":1.10}`)}, nil, "m7")
			},
			"publish, binary named event": func() {
				c.PublishEvent(ctx, "lobby", "photo", []any{Attachment(0)}, [][]byte{[]byte("cat")}, "m8")
			},
			"signal, named event": func() { c.SignalEvent("lobby", "typing", true) },
			"signal":              func() { c.Signal("lobby", map[string]any{"typing": true}) },
			"history":             func() { c.History(ctx, "lobby", "e1.a.1.x1", 20) },
			"members":             func() { c.Members(ctx, "lobby") },
			"ping":                func() { c.Retry() },
		}
		for _, v := range vectors(t) {
			ask := asks[v.name]
			if ask == nil {
				continue
			}
			delete(asks, v.name)
			if v.name != "join" && v.name != "join with all" && v.name != "ping" && c.State().Status == Connected {
				join(t, c, s, "lobby", JoinOptions{})
			}
			go ask()
			_, name, _ := strings.Cut(v.meaning, " ")
			q := s.request(name)
			if got, want := idOff(t, q.text), idOff(t, v.packet); got != want {
				t.Errorf("%s: sent %s, want %s", v.name, got, want)
			}
			switch name {
			case "join":
				q.ack(joinAck("lobby", false, "o0"))
			case "signal":
			default:
				q.ack(`{"ok":true}`)
			}
		}
		for name := range asks {
			t.Errorf("no vector for %s", name)
		}
	})
}

func idOff(t *testing.T, packet string) string {
	p, err := socketio.Parse([]byte(packet))
	if err != nil {
		t.Fatal(err)
	}
	p.ID = 0
	b, err := p.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A page downloads what the client imports, so the client must not import what is heavy.
func TestBrowserImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, heavy := range []string{"net/http", "net/url", "net", "github.com/coder/websocket", "log/slog", "crypto/tls", "crypto/rand", "regexp", "text/template"} {
		if slices.Contains(deps, heavy) {
			t.Errorf("the browser's client imports %s", heavy)
		}
	}
	if len(deps) > 80 {
		t.Errorf("%d packages; 70 were enough once", len(deps))
	}
	for _, d := range deps {
		if strings.HasPrefix(d, "setu/") && d != "setu/relay/client" && d != "setu/relay/engineio" && d != "setu/relay/socketio" {
			t.Errorf("imports %s", d)
		}
	}
}
