package relay

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

// In these tests a message may have 2000 bytes, and is read past up to 16,000.
const oversizeLimit = "MAX_PAYLOAD=2000"

func textOf(s string) []byte { return wiretest.ClientFrame(0x81, []byte(s)) }

func bytesOf(n int) []byte { return wiretest.ClientFrame(0x82, make([]byte, n)) }

// fill returns packet, filled up to size bytes.
func fill(packet string, size int) string {
	return strings.Replace(packet, "…", strings.Repeat("x", size-len(packet)+len("…")), 1)
}

// An event that is too large costs its sender an answer, and neither the connection nor what was
// asked before and after it.
func TestTooLargeIsAnswered(t *testing.T) {
	const (
		text    = `["publish",{"room":"room","data":"…"}]`
		binary  = `["publish",{"room":"room","data":{"_placeholder":true,"num":0}}]`
		refused = `{"ok":false,"error":{"code":"too_large","message":"an event may have maxPayload bytes, its attachments included"}}`
		acked   = `437[` + refused + `]`
		told    = `42["error_event",` + refused + `]`
	)
	tests := []struct {
		name string
		send []byte
		want string
	}{
		{"a byte too many", textOf(fill(`427`+text, 2001)), acked},
		{"as many as are read past", textOf(fill(`427`+text, 16_000)), acked},
		{"that wants no answer", textOf(fill(`42`+text, 3000)), told},
		{"in the namespace's full name", textOf(fill(`42/,7`+text, 3000)), acked},
		{"that is no JSON", textOf(fill(`427[…`, 3000)), acked},
		{"with attachments", slices.Concat(textOf(fill(`452-7`+text, 3000)), bytesOf(10), bytesOf(0)), acked},
		{"with none", textOf(fill(`450-7`+text, 3000)), acked},
		{"an attachment", slices.Concat(textOf(`451-7`+binary), bytesOf(3000)), acked},
		{"the first of attachments", slices.Concat(textOf(`453-7`+binary), bytesOf(3000), bytesOf(1), bytesOf(1)), acked},
		{"the last of attachments", slices.Concat(textOf(`453-`+binary), bytesOf(1), bytesOf(1), bytesOf(3000)), told},
		{"attachments together", slices.Concat(textOf(`453-7`+binary), bytesOf(1000), bytesOf(1000), bytesOf(1000)), acked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.member("a", "room")
				before, after := textOf(`425["leave",{"room":"x"}]`), textOf(`429["leave",{"room":"x"}]`)
				go func() { _, _ = p.Conn.Write(slices.Concat(before, tt.send, after)) }()
				p.Expect(`435[{"ok":true}]`)
				p.Expect(tt.want)
				p.Expect(`439[{"ok":true}]`)
				if r.log.Has("level=WARN") || !r.log.Has("MAX_PAYLOAD") {
					t.Error("the log should name the limit, and warn of nothing")
				}
			}, oversizeLimit)
		})
	}
}

// A packet that is no event, or far too large, costs the connection as before.
func TestTooLargeThatCloses(t *testing.T) {
	const (
		event  = `427["publish",{"room":"room","data":"…"}]`
		binary = `452-7["publish",{"_placeholder":true,"num":0}]`
	)
	tests := []struct {
		name string
		send []byte
		code int
	}{
		{"far too large", textOf(fill(event, 16_001)), closeTooLarge},
		{"attachments far too large together", slices.Concat(textOf(binary), bytesOf(9000), bytesOf(9000)), closeTooLarge},
		{"a CONNECT", textOf(fill(`40{"name":"…"}`, 3000)), closeTooLarge},
		{"a DISCONNECT", textOf(fill(`41…`, 3000)), closeTooLarge},
		{"an ack", textOf(fill(`431["…"]`, 3000)), closeTooLarge},
		{"an ack with attachments", slices.Concat(textOf(`462-1[{"_placeholder":true,"num":0}]`), bytesOf(3000)), closeTooLarge},
		{"a CONNECT_ERROR", textOf(fill(`44"…"`, 3000)), closeTooLarge},
		{"no packet", textOf(fill(`4…`, 3000)), closeTooLarge},
		{"an event of no array", textOf(fill(`427{"0":"…"}`, 3000)), closeTooLarge},
		{"an id without an end", textOf(`42` + strings.Repeat("0", 3000)), closeTooLarge},
		{"too many attachments", textOf(fill(`4511-7["…"]`, 3000)), closeTooLarge},
		{"text during reassembly", slices.Concat(textOf(binary), textOf(fill(event, 3000))), closeTooLarge},
		{"bytes that nobody announced", bytesOf(3000), closeTooLarge},
		{"another namespace's", textOf(fill(`42/x,7["…"]`, 3000)), closeProtocol},
		{"text behind what is too large", slices.Concat(textOf(binary), bytesOf(3000), textOf(`2["x"]`)), closeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				p := r.member("a", "room")
				go func() { _, _ = p.Conn.Write(tt.send) }()
				if code, reason := p.Closed(); code != tt.code || tt.code == closeTooLarge && !r.log.Has("level=WARN") {
					t.Errorf("closed with %d %q, want %d", code, reason, tt.code)
				}
				p.EOF()
			}, oversizeLimit)
		})
	}
	overPipes(t, func(t *testing.T, r *rig) { // before there was a CONNECT
		p := r.Open()
		p.Packet()
		p.Text(fill(event, 3000))
		if code, _ := p.Closed(); code != closeTooLarge {
			t.Error(code)
		}
	}, oversizeLimit)
}

// By polling a body has one limit, and what comes in several is read past.
func TestTooLargeByPolling(t *testing.T) {
	const binary = `453-7["publish",{"room":"room","data":{"_placeholder":true,"num":0}}]`
	chunk := string(engineio.NewMessage(make([]byte, 1200), true).AppendPayload(nil))
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.pollingMember("a", "room")
		p.Say(binary)
		for range 3 {
			p.Say(chunk)
		}
		p.Say(`429["leave",{"room":"x"}]`)
		if got := p.Packet(); !strings.HasPrefix(got, `437[{"ok":false,"error":{"code":"too_large"`) {
			t.Error(got)
		}
		p.Expect(`439[{"ok":true}]`)
		p.Post(fill(`427["publish",{"room":"room","data":"…"}]`, 2001)).Is(t, 413, "Request Entity Too Large\n")
		synctest.Wait()
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}, oversizeLimit)
}

// A client that sends nothing but what is too large is answered as fast as it reads, and nothing
// gathers.
func TestNothingButTooLarge(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "room")
		const n = 500
		go func() {
			for range n {
				if _, err := p.Conn.Write(textOf(fill(`427["publish",{"room":"room","data":"…"}]`, 10_000))); err != nil {
					t.Error(err)
				}
			}
		}()
		for range n {
			if f := p.FrameOf(wiretest.OpText); !bytes.HasPrefix(f.Payload, []byte(`437[{"ok":false,"error":{"code":"too_large"`)) {
				t.Fatalf("%s", f.Payload)
			}
		}
		p.Nothing()
	}, oversizeLimit, "OUTBOX_BYTES=65536", "EVENT_RATE=off", "BYTES_RATE=off")
}
