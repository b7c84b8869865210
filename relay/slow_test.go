package relay

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
)

// A member that reads nothing is closed, and everyone else gets everything.
func TestSlowMember(t *testing.T) {
	r := overTightTCP(t, "OUTBOX_BYTES=65536")
	slow := r.member("slow", "room")
	s := r.only()
	fast := r.member("fast", "room")
	sender := r.member("sender", "room")
	const n = 200
	data := strings.Repeat("x", 5000)
	for i := range n {
		sender.call("publish", fmt.Sprintf(`{"room":"room","id":"m%d","data":"%s"}`, i, data))
		for _, p := range []*peer{sender, fast} {
			if got := p.packet(); !strings.HasPrefix(got, fmt.Sprintf(`42["message",{"room":"room","seq":%d,"id":"m%d"`, i+1, i)) {
				t.Fatalf("%.100s", got)
			}
		}
		s.out.mu.Lock()
		waiting := s.out.bytes
		s.out.mu.Unlock()
		if waiting > 65536 {
			t.Fatalf("%d bytes wait for the slow one", waiting)
		}
	}
	slow.eof()
	if s.code != closeSlow || s.reason != "too slow" || !r.log.has("too slow") {
		t.Errorf("ended with %d %q", s.code, s.reason)
	}
	if ack := fast.call("members", `{"room":"room"}`); field(t, ack, "count") != "2" {
		t.Error(ack)
	}
}

// Where the socket has room yet, a slow client is told why.
func TestSlowMemberIsTold(t *testing.T) {
	r := overTCP(t)
	p := r.open()
	p.packet()
	s := r.only()
	if empty := s.out.close(); empty != nil {
		<-empty // a frame under way would keep the last word off the socket
	}
	k := socketOf(s)
	for !k.wire.mu.TryLock() { // until the flusher is through with it
		runtime.Gosched()
	}
	k.wire.mu.Unlock()
	s.close(closeSlow, "too slow", true)
	if f := p.frame(); f.op != opClose || string(f.payload) != "\x03\xf5too slow" {
		t.Errorf("%x %q", f.op, f.payload)
	}
	p.eof()
}

// Who asks for more in one go than may wait for him is answered as fast as he reads.
func TestManyLongAnswers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		sender := r.member("sender", "room")
		data := strings.Repeat("x", 5_000)
		for range 100 {
			sender.call("publish", `{"room":"room","data":"`+data+`"}`)
			sender.packet()
		}
		p := r.guest("a")
		for i := range 20 {
			p.text(fmt.Sprintf(`42%d["history",{"room":"room"}]`, i))
		}
		for i := range 20 {
			if s := p.packet(); !strings.HasPrefix(s, fmt.Sprintf(`43%d[{"ok":true,`, i)) || len(s) < 500_000 {
				t.Fatalf("%.100s", s)
			}
		}
	}, "OUTBOX_BYTES=65536")
}

// Who asks and never reads fills his own bounds, and is ended by the heartbeat.
func TestFloodOfRequests(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		s := r.only()
		start := time.Now()
		for i := 0; ; i++ {
			_, err := p.c.Write(clientFrame(0x81, fmt.Appendf(nil, `42%d["members",{"room":"%s"}]`, i, strings.Repeat("r", 200))))
			if err != nil {
				break
			}
			c := s.handler.(*caller)
			c.mu.Lock()
			n, bytes := len(c.queue), c.bytes
			c.mu.Unlock()
			if n > maxRequests || bytes > 2*s.eng.cfg.MaxPayload {
				t.Fatalf("%d requests wait, %d bytes", n, bytes)
			}
		}
		if took := time.Since(start); took != 45*time.Second {
			t.Errorf("ended after %s", took)
		}
		synctest.Wait()
		if n := r.srv.count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}, "OUTBOX_BYTES=65536")
}

func TestOutbox(t *testing.T) {
	sized := func(n int) *engineio.Frame {
		return engineio.NewFrame(n, func(dst []byte) []byte { return append(dst, make([]byte, n)...) })
	}
	woken := 0
	o := outbox{limit: 1000, wake: func() { woken++ }}
	if !o.put(sized(5000)) || woken != 1 {
		t.Error("an empty outbox takes any frame")
	}
	if o.put(sized(1)) {
		t.Error("a full one takes none")
	}
	got := o.take(nil, 0)
	if len(got) != 1 || o.put(sized(1)) || woken != 1 {
		t.Error("what was taken counts until it is written, and nobody is woken while somebody drains")
	}
	if got = o.take(nil, sizeOf(got)); len(got) != 0 || o.close() != nil {
		t.Error("empty and idle")
	}
	if o.put(sized(1)) {
		t.Error("a closing outbox takes nothing")
	}

	o = outbox{limit: 1000, wake: func() { woken++ }}
	o.put(sized(100))
	o.put(sized(100))
	empty := o.close()
	select {
	case <-empty:
		t.Error("not written yet")
	default:
	}
	got = o.take(nil, 0)
	o.take(nil, sizeOf(got))
	<-empty
	if woken != 2 || o.bytes != 0 {
		t.Error(woken, o.bytes)
	}
}
