package relay

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

// CVE-2020-36049: a packet that announces attachments has a count (see TestViolationsClose), a
// budget and a deadline, over either transport.
func TestCVE202036049(t *testing.T) {
	const announced = `453-["publish",{"_placeholder":true,"num":0}]`
	t.Run("budget, WebSocket", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.guest("a")
			p.Text(announced)
			p.Write(wiretest.ClientFrame(0x82, make([]byte, 1000)))
			go func() { _, _ = p.Conn.Write(wiretest.ClientFrame(0x82, make([]byte, 15_000))) }()
			if code, reason := p.Closed(); code != closeTooLarge || !r.log.Has("MAX_PAYLOAD") {
				t.Errorf("closed with %d %q", code, reason)
			}
			p.EOF()
		}, "MAX_PAYLOAD=2000")
	})
	t.Run("budget, polling", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.pollingGuest("a")
			chunk := string(engineio.NewMessage(make([]byte, 1000), true).AppendPayload(nil))
			p.Say(announced, chunk)
			p.Say(chunk)
			p.Say(chunk)
			if got := p.Packet(); !strings.HasPrefix(got, `42["error_event",{"ok":false,"error":{"code":"too_large"`) {
				t.Error(got)
			}
			if !r.log.Has("MAX_PAYLOAD") || r.srv.engine.Count() != 1 {
				t.Errorf("%d sessions are left", r.srv.engine.Count())
			}
		}, "MAX_PAYLOAD=2000")
	})
	t.Run("deadline, WebSocket", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.guest("a")
			start := time.Now()
			p.Text(announced)
			p.Write(wiretest.ClientFrame(0x82, []byte("one of three")))
			p.Expect("2")
			p.Text("3")
			if code, reason := p.Closed(); code != closeProtocol || time.Since(start) != attachTimeout {
				t.Errorf("closed with %d %q after %s", code, reason, time.Since(start))
			}
			p.EOF()
		})
	})
	t.Run("deadline, polling", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.pollingGuest("a")
			start := time.Now()
			p.Say(announced, "b")
			p.Get().Is(t, 200, "2")
			p.Say("3")
			p.Get().Is(t, 200, "1")
			if took := time.Since(start); took != attachTimeout {
				t.Errorf("ended after %s", took)
			}
		})
	})
	t.Run("the end in the middle", func(t *testing.T) {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.pollingGuest("a")
			p.Say(announced, "b")
			p.Say("1")
			p.Get().Is(t, 200, "6")
			<-time.After(2 * attachTimeout) // its timer is stopped: the bubble would not end before
			if n := r.srv.engine.Count(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	})
}

// CVE-2023-32695, CVE-2024-38355: a client that sends what is no event loses its session, by
// polling as well.
func TestCVE202332695(t *testing.T) {
	for _, packet := range []string{`42[{"toString":"foo"}]`, `42[true]`, `42[null]`, `42[]`, `42["connect"]`, `42[[]]`, `42{"0":"join"}`} {
		overPipes(t, func(t *testing.T, r *rig) {
			witness, p := r.pollingMember("witness", "room"), r.pollingMember("a", "room")
			p.Post(packet).Is(t, 400, wiretest.BadRequest)
			p.Get().Is(t, 400, wiretest.UnknownSID)
			if ack := witness.Call("publish", `{"room":"room","data":1}`); wiretest.Field(t, ack, "ok") != "true" {
				t.Error(ack)
			}
			synctest.Wait()
			if n := r.srv.engine.Count(); n != 1 {
				t.Errorf("%.100s: %d sessions are left", packet, n)
			}
		})
	}
	overPipes(t, func(t *testing.T, r *rig) { // only a name, here
		p := r.pollingGuest("a")
		p.Say(`427["error",{}]`)
		if got := p.Packet(); !strings.HasPrefix(got, `437[{"ok":false,"error":{"code":"bad_request"`) {
			t.Error(got)
		}
	})
}

func TestAckIDsAbove53BitsOverPolling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.pollingGuest("a")
		p.Say(`4218446744073709551615["leave",{"room":"a"}]`, `429007199254740993["leave",{"room":"a"}]`)
		p.Expect(`4318446744073709551615[{"ok":true}]`)
		p.Expect(`439007199254740993[{"ok":true}]`)
	})
}
