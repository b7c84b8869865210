package engine

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// upgradeHeader asks for a WebSocket.
func upgradeHeader() http.Header {
	return http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
}

// Every refusal is logged, with what an operator needs and no secret.
func TestRefusalsAreLogged(t *testing.T) {
	const (
		polling = "?EIO=4&transport=polling"
		socket  = "?EIO=4&transport=websocket"
		secret  = "verysecret"
	)
	tests := []struct {
		name, method, target string
		header               http.Header
		status               int
		want                 []string
	}{
		{"wrong origin", "GET", polling, http.Header{"Origin": {"https://a.example"}}, 403,
			[]string{"level=WARN", "origin=https://a.example", "host=relay\n", "from=pipe", "ALLOWED_ORIGINS", "pass the Host header"}},
		{"wrong origin of a WebSocket", "GET", socket, http.Header{"Origin": {"null"}}, 403, []string{"level=WARN", "origin=null", "host=relay\n"}},
		{"by a proxy", "GET", polling, http.Header{"Origin": {"https://a.example"}, "X-Forwarded-For": {"203.0.113.7, 10.0.0.1"}}, 403,
			[]string{`from="pipe for 203.0.113.7, 10.0.0.1"`}},
		{"EIO=3", "GET", "?EIO=3&transport=polling", nil, 400, []string{"level=WARN", "eio=3", "Engine.IO 4 alone"}},
		{"EIO=3, WebSocket", "GET", "?EIO=3&transport=websocket", upgradeHeader(), 400, []string{"level=WARN", "eio=3"}},
		{"unknown sid", "GET", polling + "&sid=" + secret + ".abcdefghij", nil, 400, []string{"level=INFO", `of="another relay"`, "node=abcdefghij"}},
		{"unknown sid, POST", "POST", polling + "&sid=" + secret, nil, 400, []string{"level=INFO", `of="no relay"`}},
		{"unknown sid, WebSocket", "GET", socket + "&sid=" + secret, upgradeHeader(), 400, []string{"level=INFO", `of="no relay"`}},
		{"no transport", "GET", "?EIO=4", nil, 400, []string{"level=DEBUG", `error="Transport unknown"`}},
		{"no handshake", "DELETE", polling, nil, 400, []string{"level=DEBUG", `error="Bad handshake method"`, "method=DELETE"}},
		{"no upgrade", "GET", socket, nil, 400, []string{"level=WARN", "Upgrade and Connection"}},
		{"a WebSocket of another version", "GET", socket, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"8"}}, 400,
			[]string{"level=DEBUG", "protocol version"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				if status, body := r.Request(tt.method, path+tt.target+"&token="+secret, tt.header); status != tt.status {
					t.Error(status, body)
				}
				for _, want := range tt.want {
					if !r.log.Has(want) {
						t.Errorf("no %s in the log", want)
					}
				}
				if r.log.Has(secret) {
					t.Error("a secret is in the log")
				}
			})
		})
	}
}

func TestFullAndDrainingAreLogged(t *testing.T) {
	for name, open := range map[string]func(r *rig) (int, string){
		"polling": func(r *rig) (int, string) { return r.Request("GET", path+"?EIO=4&transport=polling", nil) },
		"WebSocket": func(r *rig) (int, string) {
			return r.Request("GET", path+"?EIO=4&transport=websocket", upgradeHeader())
		},
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				r.greeted()
				if status, body := open(r); status != 503 || body != "this relay is full\n" {
					t.Error(status, body)
				}
				if !r.log.Has("level=WARN") || !r.log.Has("MAX_CONNECTIONS") || !r.log.Has("limit=1") {
					t.Error("not in the log: full")
				}
				go func() { _, _ = r.srv.Shutdown(t.Context()) }()
				synctest.Wait()
				if status, body := open(r); status != 503 || body != "this relay is draining\n" {
					t.Error(status, body)
				}
				if !r.log.Has("level=INFO") || !r.log.Has("this relay drains") {
					t.Error("not in the log: draining")
				}
			}, "MAX_CONNECTIONS=1")
		})
	}
}

// A flood of refusals costs a few lines, the next line says how many are missing, and no kind hides
// another.
func TestRefusalsInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &wiretest.Log{}
		rs := NewRefusals(slog.New(slog.NewTextHandler(log, nil)), metrics.New())
		flood := Refusal{slog.LevelWarn, "flood", ""}
		for i := range 1000 {
			rs.Note(flood, "i", i)
		}
		if !log.Has("i=4\n") || log.Has("i=5") || log.Has("left_out") {
			t.Error("5 lines at a time")
		}
		rs.Note(Refusal{slog.LevelWarn, "another", ""})
		if !log.Has("another") {
			t.Error("a flood hides another kind")
		}
		<-time.After(10 * time.Second)
		rs.Note(flood, "i", "next")
		rs.Note(flood, "i", "last")
		if !log.Has("i=next left_out=995\n") || log.Has("i=last") {
			t.Error("one more in 10 s, with what was left out")
		}
		<-time.After(time.Minute)
		rs.Note(flood, "i", "a", "x", 1)
		if !log.Has("i=a x=1 left_out=1\n") {
			t.Error("what was told is left out again, or not counted")
		}
		rs.Note(Refusal{slog.LevelDebug, "quiet", ""})
		if log.Has("quiet") {
			t.Error("below the level")
		}
	})
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"https://a.example":      "https://a.example",
		"a\nlevel=ERROR msg=b":   `a\nlevel=ERROR msg=b`,
		"\u009b31mred \x1b[0m":   `\u009b31mred \x1b[0m`,
		"\xff":                   `\xff`,
		strings.Repeat("x", 100): strings.Repeat("x", 100),
		strings.Repeat("x", 101): strings.Repeat("x", 100) + "...",
		strings.Repeat("é", 51):  strings.Repeat(`\u00e9`, 50) + "...",
	} {
		if got := Clip(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A refusal past its lines is next to free: no text is made, no line written.
func BenchmarkRefusal(b *testing.B) {
	var out bytes.Buffer
	rs := NewRefusals(slog.New(slog.NewTextHandler(&out, nil)), metrics.New())
	b.ReportAllocs()
	for b.Loop() {
		rs.Note(refusedOrigin, "from", "127.0.0.1:1", "origin", "https://a.example")
	}
}
