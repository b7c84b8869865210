package relay

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

func TestHandshake(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.Open(), r.Open()
		s := a.Packet()
		if !strings.Contains(s, `"upgrades":[]`) {
			t.Error("upgrades must be an empty list: ", s)
		}
		h, err := engineio.ParseHandshake([]byte(s[1:]))
		if err != nil || h.PingInterval != 25000 || h.PingTimeout != 20000 || h.MaxPayload != 1000000 {
			t.Errorf("handshake %+v: %v", h, err)
		}
		other, err := engineio.ParseHandshake([]byte(b.Packet()[1:]))
		if err != nil || other.SID == h.SID || len(h.SID) < 20 {
			t.Errorf("ids must be unique and hard to guess: %q, %q: %v", h.SID, other.SID, err)
		}
		a.Text("40")
		if s := a.Packet(); strings.Contains(s, h.SID) {
			t.Error("the engine's secret id shows: ", s)
		}
	})
}

func TestWelcomeComesFirst(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.Open()
		w, offset := p.Connect(`{"name":" Asha ","key":"0123456789abcdef"}`)
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
		again, _ := r.Open().Connect(`{"name":"B","key":"0123456789abcdef"}`)
		other, _ := r.Open().Connect(`{"name":"Asha"}`)
		if again.User.ID != w.User.ID || other.User.ID == w.User.ID {
			t.Error("the key, and nothing else, keeps a guest the same user")
		}
		made, _ := r.Open().Connect("")
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
		{"name of another type", `40{"name":1}`, `44{"data":{"code":"bad_request"},"message":"name must be a string, not 1"}`},
		{"short key", `40{"key":"short"}`, `44{"data":{"code":"bad_request"},"message":"key must have 16 to 64 characters"}`},
		{"long key", `40{"key":"` + strings.Repeat("k", 65) + `"}`, `44{"data":{"code":"bad_request"},"message":"key must have 16 to 64 characters"}`},
		{"long name", `40{"name":"` + strings.Repeat("n", 65) + `"}`, `44{"data":{"code":"bad_request"},"message":"name must have at most 64 characters and no control characters"}`},
		{"control characters", `40{"name":"a\u0007b"}`, `44{"data":{"code":"bad_request"},"message":"name must have at most 64 characters and no control characters"}`},
		{"token", `40{"token":"x"}`, `44{"data":{"code":"unauthorized"},"message":"this relay knows guests only: connect without a token"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.Open()
				p.Packet()
				p.Text(tt.send)
				p.Expect(tt.answer)
				p.Text("40") // a refusal leaves the connection, and the way to "/"
				if s := p.Packet(); !strings.HasPrefix(s, "40{") {
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
		{"an event first", false, wiretest.ClientFrame(0x81, []byte(`42["join",{"room":"a"}]`))},
		{"an ack first", false, wiretest.ClientFrame(0x81, []byte(`431[]`))},
		{"a disconnect first", false, wiretest.ClientFrame(0x81, []byte(`41`))},
		{"a second CONNECT", true, wiretest.ClientFrame(0x81, []byte(`40`))},
		{"an event of another namespace", true, wiretest.ClientFrame(0x81, []byte(`42/x,["join",{"room":"a"}]`))},
		{"a CONNECT_ERROR", true, wiretest.ClientFrame(0x81, []byte(`44{"message":"x"}`))},
		{"a ping, which is the server's", true, wiretest.ClientFrame(0x81, []byte(`2`))},
		{"an open", true, wiretest.ClientFrame(0x81, []byte(`0{}`))},
		{"an upgrade", true, wiretest.ClientFrame(0x81, []byte(`5`))},
		{"an empty frame", true, wiretest.ClientFrame(0x81, nil)},
		{"an unknown packet", true, wiretest.ClientFrame(0x81, []byte(`9`))},
		{"an empty message", true, wiretest.ClientFrame(0x81, []byte(`4`))},
		{"an event that is no array", true, wiretest.ClientFrame(0x81, []byte(`42{"a":1}`))},
		{"an event named by an object", true, wiretest.ClientFrame(0x81, []byte(`42[{"toString":"foo"}]`))},
		{"an event named by null", true, wiretest.ClientFrame(0x81, []byte(`42[null]`))},
		{"an event without a name", true, wiretest.ClientFrame(0x81, []byte(`42[]`))},
		{"a reserved name", true, wiretest.ClientFrame(0x81, []byte(`42["disconnect"]`))},
		{"broken JSON", true, wiretest.ClientFrame(0x81, []byte(`42["join",{"room":]`))},
		{"text that is not UTF-8", true, wiretest.ClientFrame(0x81, []byte("42[\"join\",{\"room\":\"\xff\"}]"))},
		{"binary that nobody announced", true, wiretest.ClientFrame(0x82, []byte("x"))},
		{"text during reassembly", true, append(wiretest.ClientFrame(0x81, []byte(`451-["a",{"_placeholder":true,"num":0}]`)), wiretest.ClientFrame(0x81, []byte(`42["ping",{}]`))...)},
		{"too many attachments", true, wiretest.ClientFrame(0x81, []byte(`45999999-["a"]`))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				witness := r.guest("witness")
				p := r.Open()
				if tt.connect {
					p.Connect("")
				} else {
					p.Packet()
				}
				p.Write(tt.send)
				code, reason := p.Closed()
				if code != closeProtocol || reason == "" || len(reason) > 123 {
					t.Errorf("closed with %d %q", code, reason)
				}
				p.EOF()
				witness.Nothing() // one connection pays
				synctest.Wait()
				if n := r.srv.engine.Count(); n != 1 {
					t.Errorf("%d sessions are left", n)
				}
			})
		})
	}
}

func TestGoodbye(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Text("1")
		if code, _ := p.Closed(); code != closeNormal {
			t.Errorf("closed with %d", code)
		}
		p.EOF()
	})
}

// A client that leaves the namespace has left its rooms, and may connect to it again. A session
// that is in no namespace ends in time.
func TestDisconnect(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p, other := r.member("a", "room"), r.guest("b")
		p.Text("41")
		p.Text("40")
		if s := p.Packet(); !strings.HasPrefix(s, `40{"sid":"`) {
			t.Error(s)
		}
		p.Packet() // welcome
		if ack := other.Call("members", `{"room":"room"}`); wiretest.Field(t, ack, "count") != "0" {
			t.Error(ack)
		}
		p.Text("41")
		start := time.Now()
		p.Expect("2")
		p.Text("3")
		if code, reason := p.Closed(); code != closeGone || time.Since(start) != 45*time.Second {
			t.Errorf("closed after %s with %d %q", time.Since(start), code, reason)
		}
		p.EOF()
	})
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Text("41", `42["ping",{}]`)
		if code, reason := p.Closed(); code != closeProtocol || reason != "a packet for a namespace that was not joined" {
			t.Errorf("an event after leaving: closed with %d %q", code, reason)
		}
		p.EOF()
	})
}

func TestNoConnectCloses(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.Open()
		start := time.Now()
		p.Packet()
		p.Expect("2") // at 25 s
		p.Text("3")
		code, reason := p.Closed()
		if got := time.Since(start); got != 45*time.Second || code != closeGone {
			t.Errorf("closed after %s with %d %q", got, code, reason)
		}
		p.EOF()
	})
}

func TestHeartbeat(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		last := time.Now()
		for range 5 {
			p.Expect("2")
			if got := time.Since(last); got != 25*time.Second {
				t.Fatalf("a ping after %s", got)
			}
			last = time.Now()
			p.Text("3", "3") // a pong too many changes nothing
		}
		p.Expect("2")
		last = time.Now()
		for range 19 { // data is no pong
			<-time.After(time.Second)
			p.Call("ping", "{}")
		}
		f, err := wiretest.ReadFrame(p.Reader)
		if got := time.Since(last); err == nil || got != 20*time.Second {
			t.Errorf("frame %v %q after %s: %v", f.Op, f.Payload, got, err)
		}
	})
}

// A client counts from the last ping that it heard, so a late CONNECT must not move the next.
func TestLateConnectMovesNoPing(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.Open()
		start := time.Now()
		<-time.After(24 * time.Second)
		p.Connect("")
		p.Expect("2")
		if got := time.Since(start); got != 25*time.Second {
			t.Errorf("the first ping came after %s", got)
		}
		p.Text("3")
		p.Expect("2")
		if got := time.Since(start); got != 50*time.Second {
			t.Errorf("the second ping came after %s", got)
		}
	})
}

func TestAckIDsAbove53Bits(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Text(`4218446744073709551615["leave",{"room":"a"}]`)
		p.Expect(`4318446744073709551615[{"ok":true}]`)
		p.Text(`429007199254740993["leave",{"room":"a"}]`)
		p.Expect(`439007199254740993[{"ok":true}]`)
	})
}

func TestBinaryEventThatIsRefused(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Text(`452-7["publish",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		p.Write(wiretest.ClientFrame(0x82, []byte("one")))
		p.Text("3") // a packet of the engine's own may come between
		p.Write(wiretest.ClientFrame(0x82, nil))
		var body struct {
			OK    bool
			Error fault
		}
		s := strings.TrimSuffix(strings.TrimPrefix(p.Packet(), "437["), "]")
		if err := json.Unmarshal([]byte(s), &body); err != nil || body.OK || body.Error.Code != codeBadRequest {
			t.Error(s, err)
		}
		p.Text(`450-["publish"]`)
		if s := p.Packet(); !strings.HasPrefix(s, `42["error_event",{"ok":false,"error":{"code":"bad_request"`) {
			t.Error(s)
		}
		p.Nothing()
	})
}

// A client that is refused a namespace is logged, without what it said of itself.
func TestRefusedConnectIsLogged(t *testing.T) {
	for send, want := range map[string][]string{
		`40/custom,{"key":"0123456789secret"}`:   {"level=INFO", "namespace=/custom", "from=pipe", "does not exist"},
		`40{"token":"0123456789secret"}`:         {"level=INFO", "namespace=/", `error="this relay knows guests only`},
		`40{"key":"secret"}`:                     {"level=INFO", "namespace=/", `error="key must have`},
		`40/` + strings.Repeat("x", 150) + `,{}`: {"namespace=/" + strings.Repeat("x", 99) + "..."},
	} {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.Open()
			p.Packet()
			p.Text(send)
			p.Packet()
			for _, w := range append(want, "refused a CONNECT") {
				if !r.log.Has(w) {
					t.Errorf("%.40s: no %s in the log", send, w)
				}
			}
			if r.log.Has("secret") {
				t.Errorf("%.40s: a secret is in the log", send)
			}
		})
	}
}
