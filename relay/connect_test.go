package relay

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
)

func TestHandshake(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.open(), r.open()
		s := a.packet()
		if !strings.Contains(s, `"upgrades":[]`) {
			t.Error("upgrades must be an empty list: ", s)
		}
		h, err := engineio.ParseHandshake([]byte(s[1:]))
		if err != nil || h.PingInterval != 25000 || h.PingTimeout != 20000 || h.MaxPayload != 1000000 {
			t.Errorf("handshake %+v: %v", h, err)
		}
		other, err := engineio.ParseHandshake([]byte(b.packet()[1:]))
		if err != nil || other.SID == h.SID || len(h.SID) < 20 {
			t.Errorf("ids must be unique and hard to guess: %q, %q: %v", h.SID, other.SID, err)
		}
		a.text("40")
		if s := a.packet(); strings.Contains(s, h.SID) {
			t.Error("the engine's secret id shows: ", s)
		}
	})
}

func TestWelcomeComesFirst(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.open()
		w, offset := p.connect(`{"name":" Asha ","key":"0123456789abcdef"}`)
		if w.Relay != "relay-1" || w.Region != "here" || w.Epoch != r.broker.Head().Epoch || !strings.HasPrefix(offset, w.Epoch+".") {
			t.Errorf("welcome %+v, offset %q", w, offset)
		}
		if w.User.Name != "Asha" || !w.User.Guest || w.User.ID == "" || strings.Contains(w.User.ID, "0123456789abcdef") {
			t.Errorf("user %+v", w.User)
		}
		for _, name := range []string{"maxPayload", "history", "room", "id"} {
			if w.Limits[name] == 0 {
				t.Errorf("no limit %s: %v", name, w.Limits)
			}
		}
		again, _ := r.open().connect(`{"name":"B","key":"0123456789abcdef"}`)
		other, _ := r.open().connect(`{"name":"Asha"}`)
		if again.User.ID != w.User.ID || other.User.ID == w.User.ID {
			t.Error("the key, and nothing else, keeps a guest the same user")
		}
		made, _ := r.open().connect("")
		if !strings.HasPrefix(made.User.Name, "guest-") {
			t.Errorf("made-up name %q", made.User.Name)
		}
	})
}

func TestConnect(t *testing.T) {
	tests := []struct {
		name, send, answer string
	}{
		{"unknown namespace", "40/custom,", `44/custom,{"message":"Invalid namespace"}`},
		{"unknown namespace with auth", `40/custom,{"name":"a"}`, `44/custom,{"message":"Invalid namespace"}`},
		{"no comma", "40/custom", `44/custom,{"message":"Invalid namespace"}`},
		{"name of another type", `40{"name":1}`, `44{"data":{"code":"bad_request"},"message":"name, key and token must be strings"}`},
		{"short key", `40{"key":"short"}`, `44{"data":{"code":"bad_request"},"message":"key must have 16 to 64 characters"}`},
		{"long key", `40{"key":"` + strings.Repeat("k", 65) + `"}`, `44{"data":{"code":"bad_request"},"message":"key must have 16 to 64 characters"}`},
		{"long name", `40{"name":"` + strings.Repeat("n", 65) + `"}`, `44{"data":{"code":"bad_request"},"message":"name must have at most 64 characters and no control characters"}`},
		{"control characters", `40{"name":"a\u0007b"}`, `44{"data":{"code":"bad_request"},"message":"name must have at most 64 characters and no control characters"}`},
		{"token", `40{"token":"x"}`, `44{"data":{"code":"bad_request"},"message":"this relay knows guests only: connect without a token"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.open()
				p.packet()
				p.text(tt.send)
				p.expect(tt.answer)
				p.text("40") // a refusal leaves the connection, and the way to "/"
				if s := p.packet(); !strings.HasPrefix(s, "40{") {
					t.Error(s)
				}
			})
		})
	}
}

func TestViolationsClose(t *testing.T) {
	tests := []struct {
		name    string
		connect bool
		send    []byte
	}{
		{"an event first", false, clientFrame(0x81, []byte(`42["join",{"room":"a"}]`))},
		{"an ack first", false, clientFrame(0x81, []byte(`431[]`))},
		{"a disconnect first", false, clientFrame(0x81, []byte(`41`))},
		{"a second CONNECT", true, clientFrame(0x81, []byte(`40`))},
		{"an event of another namespace", true, clientFrame(0x81, []byte(`42/x,["join",{"room":"a"}]`))},
		{"a CONNECT_ERROR", true, clientFrame(0x81, []byte(`44{"message":"x"}`))},
		{"a ping, which is the server's", true, clientFrame(0x81, []byte(`2`))},
		{"an open", true, clientFrame(0x81, []byte(`0{}`))},
		{"an upgrade", true, clientFrame(0x81, []byte(`5`))},
		{"an empty frame", true, clientFrame(0x81, nil)},
		{"an unknown packet", true, clientFrame(0x81, []byte(`9`))},
		{"an empty message", true, clientFrame(0x81, []byte(`4`))},
		{"an event that is no array", true, clientFrame(0x81, []byte(`42{"a":1}`))},
		{"an event named by an object", true, clientFrame(0x81, []byte(`42[{"toString":"foo"}]`))},
		{"an event named by null", true, clientFrame(0x81, []byte(`42[null]`))},
		{"an event without a name", true, clientFrame(0x81, []byte(`42[]`))},
		{"a reserved name", true, clientFrame(0x81, []byte(`42["disconnect"]`))},
		{"broken JSON", true, clientFrame(0x81, []byte(`42["join",{"room":]`))},
		{"text that is not UTF-8", true, clientFrame(0x81, []byte("42[\"join\",{\"room\":\"\xff\"}]"))},
		{"deep nesting", true, clientFrame(0x81, []byte(`42["join",`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+`]`))},
		{"binary that nobody announced", true, clientFrame(0x82, []byte("x"))},
		{"text during reassembly", true, append(clientFrame(0x81, []byte(`451-["a",{"_placeholder":true,"num":0}]`)), clientFrame(0x81, []byte(`42["ping",{}]`))...)},
		{"too many attachments", true, clientFrame(0x81, []byte(`45999999-["a"]`))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				witness := r.guest("witness")
				p := r.open()
				if tt.connect {
					p.connect("")
				} else {
					p.packet()
				}
				p.write(tt.send)
				code, reason := p.closed()
				if code != closeProtocol || reason == "" || len(reason) > 123 {
					t.Errorf("closed with %d %q", code, reason)
				}
				p.eof()
				witness.nothing() // one connection pays
				synctest.Wait()
				if n := r.srv.count(); n != 1 {
					t.Errorf("%d sessions are left", n)
				}
			})
		})
	}
}

func TestGoodbye(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.text("1")
		if code, _ := p.closed(); code != closeNormal {
			t.Errorf("closed with %d", code)
		}
		p.eof()
	})
}

// Whoever leaves the namespace has left its rooms, and may come again; a session that is in none ends in time.
func TestDisconnect(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p, other := r.member("a", "room"), r.guest("b")
		p.text("41")
		p.text("40")
		if s := p.packet(); !strings.HasPrefix(s, `40{"sid":"`) {
			t.Error(s)
		}
		p.packet() // welcome
		if ack := other.call("members", `{"room":"room"}`); field(t, ack, "count") != "0" {
			t.Error(ack)
		}
		p.text("41")
		start := time.Now()
		p.expect("2")
		p.text("3")
		if code, reason := p.closed(); code != closeGone || time.Since(start) != 45*time.Second {
			t.Errorf("closed after %s with %d %q", time.Since(start), code, reason)
		}
		p.eof()
	})
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.text("41", `42["ping",{}]`)
		if code, reason := p.closed(); code != closeProtocol || reason != errNamespace.Error() {
			t.Errorf("an event after leaving: closed with %d %q", code, reason)
		}
		p.eof()
	})
}

func TestNoConnectCloses(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.open()
		start := time.Now()
		p.packet()
		p.expect("2") // at 25 s
		p.text("3")
		code, reason := p.closed()
		if got := time.Since(start); got != 45*time.Second || code != closeGone {
			t.Errorf("closed after %s with %d %q", got, code, reason)
		}
		p.eof()
	})
}

func TestHeartbeat(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		last := time.Now()
		for range 5 {
			p.expect("2")
			if got := time.Since(last); got != 25*time.Second {
				t.Fatalf("a ping after %s", got)
			}
			last = time.Now()
			p.text("3", "3") // a pong too many changes nothing
		}
		p.expect("2")
		last = time.Now()
		for range 19 { // data is no pong
			<-time.After(time.Second)
			p.call("ping", "{}")
		}
		f, err := readFrame(p.r)
		if got := time.Since(last); err == nil || got != 20*time.Second {
			t.Errorf("frame %v %q after %s: %v", f.op, f.payload, got, err)
		}
	})
}

// A client counts from the last ping that it heard, so a late CONNECT must not move the next.
func TestLateConnectMovesNoPing(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.open()
		start := time.Now()
		<-time.After(24 * time.Second)
		p.connect("")
		p.expect("2")
		if got := time.Since(start); got != 25*time.Second {
			t.Errorf("the first ping came after %s", got)
		}
		p.text("3")
		p.expect("2")
		if got := time.Since(start); got != 50*time.Second {
			t.Errorf("the second ping came after %s", got)
		}
	})
}

func TestAckIDsAbove53Bits(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.text(`4218446744073709551615["leave",{"room":"a"}]`)
		p.expect(`4318446744073709551615[{"ok":true}]`)
		p.text(`429007199254740993["leave",{"room":"a"}]`)
		p.expect(`439007199254740993[{"ok":true}]`)
	})
}

func TestBinaryEventThatIsRefused(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.text(`452-7["publish",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		p.write(clientFrame(0x82, []byte("one")))
		p.text("3") // a packet of the engine's own may come between
		p.write(clientFrame(0x82, nil))
		var body struct {
			OK    bool
			Error fault
		}
		s := strings.TrimSuffix(strings.TrimPrefix(p.packet(), "437["), "]")
		if err := json.Unmarshal([]byte(s), &body); err != nil || body.OK || body.Error.Code != codeBadRequest {
			t.Error(s, err)
		}
		p.text(`450-["publish"]`)
		if s := p.packet(); !strings.HasPrefix(s, `42["error_event",{"ok":false,"error":{"code":"bad_request"`) {
			t.Error(s)
		}
		p.nothing()
	})
}
