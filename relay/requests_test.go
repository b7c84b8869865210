package relay

import (
	"bytes"
	"fmt"
	"net/http"
	"setu/relay/wiretest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusedRequests(t *testing.T) {
	up := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	with := func(name string, values ...string) http.Header {
		h := up.Clone()
		if h[name] = values; values == nil {
			delete(h, name)
		}
		return h
	}
	const ws = "EIO=4&transport=websocket"
	tests := []struct {
		name, method, query string
		header              http.Header
		status              int
		body                string
	}{
		{"polling, EIO 3", "GET", "EIO=3&transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"polling, an unknown sid", "GET", "EIO=4&transport=polling&sid=x", nil, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"polling POST, an unknown sid", "POST", "EIO=4&transport=polling&sid=x", nil, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"polling POST", "POST", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"polling PUT", "PUT", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"no query", "GET", "", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"transport of a prototype", "GET", "EIO=4&transport=__proto__", up, 400, `{"code":0,"message":"Transport unknown"}`},
		{"transport of a constructor", "GET", "EIO=4&transport=constructor", up, 400, `{"code":0,"message":"Transport unknown"}`},
		{"empty transport", "GET", "EIO=4&transport=", up, 400, `{"code":0,"message":"Transport unknown"}`},
		{"repeated transport", "GET", "EIO=4&transport=polling&transport=websocket", up, 400, `{"code":0,"message":"Transport unknown"}`},
		{"transport as an object", "GET", "EIO=4&transport[a]=websocket", up, 400, `{"code":0,"message":"Transport unknown"}`},
		{"a query that is none", "GET", "%zz;&&==&EIO=4&transport=websocket&sid=x", up, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"EIO 3", "GET", "EIO=3&transport=websocket", up, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"no EIO", "GET", "transport=websocket", up, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"repeated EIO", "GET", "EIO=&EIO=4&transport=websocket", up, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"unknown sid", "GET", ws + "&sid=abc", up, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "POST", ws, up, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"OPTIONS", "OPTIONS", ws, nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"no upgrade", "GET", ws, nil, 400, `{"code":3,"message":"Bad request"}`},
		{"another upgrade", "GET", ws, with("Upgrade", "h2c"), 400, `{"code":3,"message":"Bad request"}`},
		{"no Connection", "GET", ws, with("Connection", "keep-alive"), 400, `{"code":3,"message":"Bad request"}`},
		{"no key", "GET", ws, with("Sec-Websocket-Key"), 400, ""},
		{"a short key", "GET", ws, with("Sec-Websocket-Key", "AAAA"), 400, ""},
		{"two keys", "GET", ws, with("Sec-Websocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA=="), 400, ""},
		{"another version", "GET", ws, with("Sec-Websocket-Version", "8"), 400, ""},
		{"another site", "GET", ws, with("Origin", "https://evil.example"), 403, `{"code":4,"message":"Forbidden"}`},
		{"another site, polling", "GET", "EIO=4&transport=polling", with("Origin", "https://evil.example"), 403, `{"code":4,"message":"Forbidden"}`},
		{"a site that begins alike", "GET", ws, with("Origin", "http://relay.evil.example"), 403, `{"code":4,"message":"Forbidden"}`},
		{"another port", "GET", ws, with("Origin", "http://relay:81"), 403, `{"code":4,"message":"Forbidden"}`},
		{"a sandbox", "GET", ws, with("Origin", "null"), 403, `{"code":4,"message":"Forbidden"}`},
		{"an origin that is none", "GET", ws, with("Origin", "http://%zz"), 403, `{"code":4,"message":"Forbidden"}`},
		{"a header too large", "GET", ws, with("Cookie", strings.Repeat("c", 32<<10)), 431, ""},
		{"headers too many", "GET", ws, with("Cookie", strings.Split(strings.Repeat("c=d ", 4000), " ")...), 431, ""},
	}
	r := overTCP(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := r.Request(tt.method, Path+"?"+tt.query, tt.header)
			if status != tt.status || tt.body != "" && body != tt.body {
				t.Errorf("%d %s", status, body)
			}
			if n := r.srv.engine.Count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

func TestMaxConnections(t *testing.T) {
	r := overTCP(t, "MAX_CONNECTIONS=2")
	a, _ := r.guest("a"), r.guest("b")
	up := http.Header{"Upgrade": {"websocket"}, "Connection": {"upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	if status, body := r.Request("GET", Path+"?EIO=4&transport=websocket", up); status != 503 || body != "this relay is full\n" {
		t.Error(status, body)
	}
	a.Text("1")
	a.Closed()
	for end := time.Now().Add(patience); r.srv.engine.Count() == 2 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	r.guest("c")
}

func TestProbes(t *testing.T) {
	r := overTCP(t)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if status, body := r.Request("GET", path, nil); status != 200 || body != want {
			t.Error(path, status, body)
		}
	}
	_ = r.broker.Close(t.Context())
	if status, body := r.Request("GET", "/readyz", nil); status != 503 || !strings.Contains(body, "closed") {
		t.Error(status, body)
	}
	if status, _ := r.Request("GET", "/healthz", nil); status != 200 {
		t.Error(status)
	}
}

func TestOversizeSaysSo(t *testing.T) {
	big := bytes.Repeat([]byte("4"), 20_000)
	fragments := wiretest.ClientFrame(wiretest.OpText, big[:600])
	for range 30 {
		fragments = append(fragments, wiretest.ClientFrame(wiretest.OpContinue, big[:600])...)
	}
	tests := map[string][]byte{
		"one frame":            wiretest.ClientFrame(0x81, big),
		"fragments":            fragments,
		"a header, then never": wiretest.ClientFrame(0x81, big)[:17_000],
		"a length of 2^62":     append([]byte{0x81, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, big...),
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.guest("a")
				go func() { _, _ = p.Conn.Write(send) }()
				for {
					f := p.NextFrame()
					if f.Op == wiretest.OpClose {
						if !bytes.HasPrefix(f.Payload, []byte{closeTooLarge >> 8, closeTooLarge & 0xFF}) {
							t.Errorf("%x", f.Payload)
						}
						break
					}
				}
				start := time.Now()
				p.EOF()
				if took := time.Since(start); took > flushTimeout+closeTimeout {
					t.Errorf("the connection stood for %s", took)
				}
				if !r.log.Has("MAX_PAYLOAD") {
					t.Error("no log line")
				}
				synctest.Wait()
				if n := r.srv.engine.Count(); n != 0 {
					t.Errorf("%d sessions are left", n)
				}
			}, "MAX_PAYLOAD=2000")
		})
	}
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		packet := `421["publish",{"room":"room","data":"`
		packet += strings.Repeat("x", 2000-len(packet)-3) + `"}]`
		p.Text(packet) // just fits
		if f := failure(t, p.Answer("1")); f.Code != codeNotJoined {
			t.Error(f)
		}
	}, "MAX_PAYLOAD=2000")
}

// A client that is closed and neither answers nor hangs up holds its connection for a bounded time.
func TestClosedAndSilent(t *testing.T) {
	tests := map[string][]byte{
		"says nothing more":     wiretest.ClientFrame(0x81, []byte("2")),
		"begins a frame":        append(wiretest.ClientFrame(0x81, []byte("2")), wiretest.ClientFrame(0x81, make([]byte, 5000))[:100]...),
		"begins a frame header": append(wiretest.ClientFrame(0x81, []byte("2")), 0x81),
		"goes on for ever":      append(wiretest.ClientFrame(0x81, []byte("2")), wiretest.ClientFrame(wiretest.OpText, []byte("x"))...),
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.guest("a")
				start := time.Now()
				go func() { _, _ = p.Conn.Write(send) }()
				p.EOF()
				if took := time.Since(start); took > flushTimeout+closeTimeout {
					t.Errorf("the connection stood for %s", took)
				}
			})
		})
	}
}

func TestFragments(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		text := []byte(`4299["leave",{"room":"` + strings.Repeat("r", 150) + `"}]`)
		b := wiretest.ClientFrame(wiretest.OpText, text[:1])
		for _, c := range text[1 : len(text)-1] {
			b = append(b, wiretest.ClientFrame(wiretest.OpContinue, []byte{c})...)
			b = append(b, wiretest.ClientFrame(wiretest.OpContinue, nil)...)
		}
		for range 5000 { // empty ones cost nothing but the reading
			b = append(b, wiretest.ClientFrame(wiretest.OpContinue, nil)...)
		}
		b = append(b, wiretest.ClientFrame(0x80|wiretest.OpPing, []byte("between"))...)
		b = append(b, wiretest.ClientFrame(0x80|wiretest.OpContinue, text[len(text)-1:])...)
		go func() { _, _ = p.Conn.Write(b) }()
		if f := p.NextFrame(); f.Op != wiretest.OpPong || string(f.Payload) != "between" {
			t.Errorf("%x %q", f.Op, f.Payload)
		}
		p.Expect(`4399[{"ok":true}]`)
	})
}

func TestBadFramesCostOneConnection(t *testing.T) {
	unmasked := []byte{0x81, 1, '3'}
	tests := map[string][]byte{
		"compressed":               wiretest.ClientFrame(0xC1, []byte("x")),
		"RSV2":                     wiretest.ClientFrame(0xA1, []byte("x")),
		"RSV3":                     wiretest.ClientFrame(0x91, []byte("x")),
		"unmasked":                 unmasked,
		"an unknown opcode":        wiretest.ClientFrame(0x83, []byte("x")),
		"an unknown control":       wiretest.ClientFrame(0x8B, []byte("x")),
		"a long ping":              wiretest.ClientFrame(0x89, make([]byte, 126)),
		"a fragmented ping":        wiretest.ClientFrame(0x09, []byte("x")),
		"a continuation of none":   wiretest.ClientFrame(0x80, []byte("x")),
		"text within a message":    append(wiretest.ClientFrame(0x01, []byte("x")), wiretest.ClientFrame(0x81, []byte("y"))...),
		"a close of one byte":      wiretest.ClientFrame(0x88, []byte("x")),
		"a close of a bad code":    wiretest.ClientFrame(0x88, []byte{0, 1}),
		"HTTP":                     []byte("GET / HTTP/1.1\r\nHost: relay\r\n\r\n"),
		"a negative length":        {0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4},
		"nothing but a first byte": {0x81},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				witness := r.member("witness", "room")
				p := r.member("a", "room")
				go func() {
					_, _ = p.Conn.Write(send)
					if len(send) == 1 {
						_ = p.Conn.Close()
					}
				}()
				p.EOF()
				synctest.Wait()
				if n := r.srv.engine.Count(); n != 1 {
					t.Errorf("%d sessions are left", n)
				}
				if ack := witness.Call("publish", `{"room":"room","data":1}`); wiretest.Field(t, ack, "ok") != "true" {
					t.Error(ack)
				}
			})
		})
	}
}

// A reset in the middle of the handshake, or of anything else, leaves nothing behind.
func TestResets(t *testing.T) {
	r := overTCP(t)
	request := fmt.Sprintf("GET %s?EIO=4&transport=websocket HTTP/1.1\r\nHost: relay\r\n%s\r\n", Path, wiretest.HandshakeHeader)
	for i := range len(request)/20 + 1 {
		c := r.Dial()
		_, _ = c.Write([]byte(request[:min(len(request), 1+i*20)]))
		_ = c.(interface{ SetLinger(int) error }).SetLinger(0)
		_ = c.Close()
	}
	awaitGone(t, r)
}
