package relay

import (
	"fmt"
	"setu/relay/wiretest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A member that reads nothing is closed, and everyone else gets everything.
func TestSlowMember(t *testing.T) {
	l, dial := wiretest.ListenTightTCP(t)
	r := newRig(t, l, dial, nil, "OUTBOX_BYTES=65536")
	t.Cleanup(r.close)
	slow := r.member("slow", "room")
	fast := r.member("fast", "room")
	sender := r.member("sender", "room")
	const n = 200
	data := strings.Repeat("x", 5000)
	for i := range n {
		sender.Call("publish", fmt.Sprintf(`{"room":"room","id":"m%d","data":"%s"}`, i, data))
		for _, p := range []*wiretest.Peer{sender, fast} {
			if got := p.Packet(); !strings.HasPrefix(got, fmt.Sprintf(`42["message",{"room":"room","seq":%d,"id":"m%d"`, i+1, i)) {
				t.Fatalf("%.100s", got)
			}
		}
	}
	slow.EOF()
	if !r.log.Has("code=1013") || !r.log.Has("too slow") {
		t.Error("it was not closed as too slow")
	}
	if ack := fast.Call("members", `{"room":"room"}`); wiretest.Field(t, ack, "count") != "2" {
		t.Error(ack)
	}
}

// A client that asks for more at once than may wait for it is answered as fast as it reads.
func TestManyLongAnswers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		sender := r.member("sender", "room")
		data := strings.Repeat("x", 5_000)
		for range 100 {
			sender.Call("publish", `{"room":"room","data":"`+data+`"}`)
			sender.Packet()
		}
		p := r.guest("a")
		for i := range 20 {
			p.Text(fmt.Sprintf(`42%d["history",{"room":"room"}]`, i))
		}
		for i := range 20 {
			if s := p.Packet(); !strings.HasPrefix(s, fmt.Sprintf(`43%d[{"ok":true,`, i)) || len(s) < 500_000 {
				t.Fatalf("%.100s", s)
			}
		}
	}, "OUTBOX_BYTES=65536")
}

// A client that asks and never reads fills its own bounds, and is ended by the heartbeat.
func TestFloodOfRequests(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		start := time.Now()
		for i := 0; ; i++ {
			_, err := p.Conn.Write(wiretest.ClientFrame(0x81, fmt.Appendf(nil, `42%d["members",{"room":"%s"}]`, i, strings.Repeat("r", 200))))
			if err != nil {
				break
			}
		}
		if took := time.Since(start); took != 45*time.Second {
			t.Errorf("ended after %s", took)
		}
		synctest.Wait()
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}, "OUTBOX_BYTES=65536", "HISTORY_RATE=off", "USER_HISTORY_RATE=off", "BYTES_RATE=off")
}
