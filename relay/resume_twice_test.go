package relay

import (
	"fmt"
	"sync"
	"testing"

	"setu/relay/wiretest"
)

// A client that resumes a session takes it over. If the connection before is still there, it is
// told not to come back for it.
func TestResumeFences(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		old := s.Peer
		s.again()
		s.expectRecovered(true)
		old.Expect("41")
		if code, _ := old.Closed(); code != closeNormal {
			t.Error(code)
		}
		old.EOF()
		if ack := s.Call("members", `{"room":"a"}`); wiretest.Field(t, ack, "count") != "1" {
			t.Error(ack)
		}
		say(s.Peer, 1, "a")
		s.cut()
		s.again()
		s.expectRecovered(true)
	})
}

// If two clients resume with one pid at once, one of them has the session in the end, and the other
// is disconnected.
func TestResumeTwiceAtOnce(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		s.cut()
		var two sync.WaitGroup
		both := []*returning{{r: r, pid: s.pid, offset: s.offset}, {r: r, pid: s.pid, offset: s.offset}}
		for _, one := range both {
			one.Peer = r.Open()
			one.Packet()
		}
		var mu sync.Mutex
		var left, stay int
		for _, one := range both {
			two.Go(func() {
				one.Text(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, one.pid, one.offset))
				for {
					f, err := wiretest.ReadFrame(one.Peer.Reader)
					mu.Lock()
					if err == nil && string(f.Payload) == "41" {
						left++
						mu.Unlock()
						_, _ = one.Conn.Write(wiretest.ClientFrame(0x80|wiretest.OpClose, []byte{3, 232}))
						one.EOF()
						return
					}
					if err == nil && string(f.Payload) == "2" {
						stay++
						mu.Unlock()
						return
					}
					mu.Unlock()
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		two.Wait()
		if left != 1 || stay != 1 {
			t.Errorf("%d left, %d stay", left, stay)
		}
	})
}
