package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/room"
	"setu/relay/wiretest"
)

// counted returns the messages from..to of a room, as seen lists them.
func counted(room string, from, to int) (out []string) {
	for n := from; n <= to; n++ {
		out = append(out, fmt.Sprint(room, " ", n))
	}
	return out
}

func TestResume(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.guest("other")
		other.Call("join", `{"room":"a"}`)
		other.Call("join", `{"room":"b"}`)
		s := r.returning(`"name":"Asha",`)
		s.expectRecovered(false)
		s.Call("join", `{"room":"a","presence":true}`)
		s.Call("join", `{"room":"b"}`)
		say(other, 1, "a", "b")
		s.hear()
		s.expectSeen("a 1", "b 1")
		sid, pid := s.sid, s.pid
		if strings.Contains(s.Call("members", `{"room":"a"}`), pid) {
			t.Error("others see the pid")
		}
		for round := range 3 { // recovery works, and works again
			s.cut()
			say(other, 2, "b", "a")
			s.again()
			s.expectRecovered(true)
			if s.early != 4 || s.sid != sid || s.pid != pid {
				t.Errorf("%d messages before the CONNECT, sid %q of %q", s.early, s.sid, sid)
			}
			if ack := s.Call("publish", `{"room":"a","data":1}`); wiretest.Field(t, ack, "ok") != "true" {
				t.Error("a room joined is a room recovered: ", ack)
			}
			say(other, 1, "b")
			s.hear()
			n := 2 + 3*round
			s.expectSeen(fmt.Sprint("b ", n), fmt.Sprint("a ", n), fmt.Sprint("b ", n+1), fmt.Sprint("a ", n+1), fmt.Sprint("a ", n+2), fmt.Sprint("b ", n+2))
			if want := []string{"welcome", "presence", "message", "message"}; !slices.Equal(s.afterwards, want) {
				t.Errorf("after the CONNECT came %v", s.afterwards)
			}
		}
		s.cut()
		<-time.After(room.LeaveGrace - time.Second)
		if ack := other.Call("members", `{"room":"a"}`); wiretest.Field(t, ack, "count") != "2" {
			t.Error("who is cut off is not expected back: ", ack)
		}
		<-time.After(2 * time.Second)
		if ack := other.Call("members", `{"room":"a"}`); wiretest.Field(t, ack, "count") != "1" {
			t.Error("somebody is left behind: ", ack)
		}
	})
}

// What a client heard in the answer to its join does not come again, and what came after it does,
// wherever its offset stands.
func TestResumeFromTheJoin(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.guest("other")
		other.Call("join", `{"room":"a"}`)
		other.Call("join", `{"room":"b"}`)
		s := r.returning("")
		say(other, 3, "a", "b")
		if ack := s.Call("join", `{"room":"a","history":9}`); strings.Count(ack, `"seq"`) != 3 {
			t.Fatal(ack)
		}
		s.hear()
		s.expectSeen() // its offset is still that of its welcome
		s.cut()
		say(other, 1, "b", "a")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 4")
		// It has joined again, but counts from its first join: it got what came since as events.
		s.Call("join", `{"room":"a","history":1}`)
		s.Call("leave", `{"room":"a"}`)
		s.Call("join", `{"room":"b"}`)
		say(other, 1, "a", "b")
		s.cut()
		s.again()
		s.expectRecovered(true)
		s.expectSeen("b 5")
	})
}

// A client that never got a message recovers from its welcome; one that left the room of its last
// message recovers from that message.
func TestResumeFromElsewhere(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.guest("other")
		other.Call("join", `{"room":"a"}`)
		other.Call("join", `{"room":"b"}`)
		s := r.returning("")
		s.cut()
		s.again()
		s.expectRecovered(true)
		s.Call("join", `{"room":"a"}`)
		s.Call("join", `{"room":"b"}`)
		say(other, 1, "b", "a")
		s.hear()
		s.Call("leave", `{"room":"a"}`)
		s.seen = nil
		s.cut()
		say(other, 1, "a", "b")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("b 2")
	})
}

// One that left the room of its last message, and joined it again, has what it was given on joining.
func TestResumeFromTheSecondJoin(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.guest("other")
		other.Call("join", `{"room":"a"}`)
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		say(other, 1, "a")
		s.hear()
		s.Call("leave", `{"room":"a"}`)
		say(other, 1, "a")
		s.Call("join", `{"room":"a","history":9}`)
		s.seen = nil
		s.cut()
		say(other, 1, "a")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 3")
	})
}

func TestResumeIsRefused(t *testing.T) {
	type fault struct {
		name string
		keep string // auth of the first connection
		do   func(s *returning, other *wiretest.Peer)
	}
	key := `"key":"0123456789abcdef",`
	faults := []fault{
		{"another pid", "", func(s *returning, _ *wiretest.Peer) { s.pid = "nobody's" }},
		{"no offset", "", func(s *returning, _ *wiretest.Peer) { s.offset = "" }},
		{"nonsense for an offset", "", func(s *returning, _ *wiretest.Peer) { s.offset = "yesterday" }},
		{"another epoch", "", func(s *returning, _ *wiretest.Peer) { s.offset = "x" + s.offset }},
		{"a message that is not there", "", func(s *returning, _ *wiretest.Peer) { s.offset = s.offset[:len(s.offset)-1] + "g" }},
		{"a position to come", "", func(s *returning, _ *wiretest.Peer) {
			o, _ := broker.ParseOffset(s.offset)
			o.Pos += 100
			s.offset = o.String()
		}},
		{"more was missed than is kept", "", func(_ *returning, other *wiretest.Peer) { say(other, 6, "b") }},
		{"more was missed than is kept, in another room", "", func(_ *returning, other *wiretest.Peer) { say(other, 6, "a") }},
		{"the key is not shown", key, func(s *returning, _ *wiretest.Peer) { s.auth = "" }},
		{"another key", key, func(s *returning, _ *wiretest.Peer) { s.auth = `"key":"fedcba9876543210",` }},
		{"a key, but none before", "", func(s *returning, _ *wiretest.Peer) { s.auth = key }},
		{"too late", "", func(_ *returning, other *wiretest.Peer) {
			_ = other.Conn.Close() // it does not answer pings meanwhile
			<-time.After(time.Hour + time.Minute)
		}},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				s := r.returning(f.keep)
				other := r.guest("other")
				for _, room := range []string{"a", "b"} {
					other.Call("join", `{"room":"`+room+`"}`)
					s.Call("join", `{"room":"`+room+`"}`)
				}
				say(other, 1, "a", "b")
				s.hear()
				sid, pid := s.sid, s.pid
				s.cut()
				f.do(s, other)
				s.seen = nil
				s.again()
				s.expectRecovered(false)
				if s.early != 0 || len(s.seen) != 0 || s.sid == sid || s.pid == pid || !slices.Equal(s.afterwards, []string{"welcome"}) {
					t.Errorf("%d messages, sid %q of %q, %v", len(s.seen), s.sid, sid, s.afterwards)
				}
				if ack := s.Call("publish", `{"room":"a","data":1}`); !strings.Contains(ack, codeNotJoined) {
					t.Error("the state is not fresh: ", ack)
				}
				s.hear()
				s.expectSeen()
			}, "HISTORY_LIMIT=5")
		})
	}
}

// Exactly as many as are kept may be missed.
func TestResumeAtTheLimit(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.guest("other")
		other.Call("join", `{"room":"a"}`)
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		say(other, 1, "a")
		s.hear()
		s.cut()
		say(other, 5, "a")
		s.seen = nil
		s.again()
		s.expectRecovered(true)
		s.expectSeen(counted("a", 2, 6)...)
	}, "HISTORY_LIMIT=5")
}

// Hours without a word are no gap, and a client that said goodbye has nothing to come back to.
func TestResumeAfterQuietHours(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		s.Call("publish", `{"room":"a","data":1}`)
		s.hear()
		s.Call("join", `{"room":"empty"}`)
		for end := time.Now().Add(7 * time.Hour); time.Now().Before(end); {
			s.take(s.Packet()) // pings
		}
		s.cut()
		other := r.guest("other")
		other.Call("join", `{"room":"empty"}`)
		other.Call("join", `{"room":"a"}`)
		say(other, 1, "empty", "a")
		s.seen = nil
		s.again()
		s.expectRecovered(true)
		s.expectSeen("empty 1", "a 2")
		s.Text("41")
		s.nothingAfterLeaving()
		s.cut()
		s.again()
		s.expectRecovered(false)
	})
}

// nothingAfterLeaving waits until the relay has taken a DISCONNECT.
func (s *returning) nothingAfterLeaving() {
	s.Text("40")
	for !strings.HasPrefix(s.Packet(), "40{") {
	}
}

// A client that says goodbye and closes at once, as stock clients do, has said goodbye: its session
// is gone, whatever else it said before.
func TestGoodbyeThenClose(t *testing.T) {
	for name, packets := range map[string][]string{
		"at once":         {"41", "1"},
		"behind requests": {`42["join",{"room":"b"}]`, `42["members",{"room":"a"}]`, "41", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				for range 20 {
					s := r.returning("")
					s.Call("join", `{"room":"a"}`)
					go s.EOF()
					s.Text(packets...)
					<-time.After(time.Second)
					s.again()
					s.expectRecovered(false)
					s.cut()
				}
			})
		})
	}
}

// A client does not recover if messages that it missed may have expired.
func TestResumeAfterHistoryExpired(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		say(s.Peer, 1, "a")
		s.hear()
		s.cut()
		<-time.After(2 * time.Minute)
		s.again()
		s.expectRecovered(false)
	}, "HISTORY_TTL=1m")
}

// Binary messages that were missed come as binary, each with its own attachments.
func TestResumeBinary(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.guest("other")
		other.Call("join", `{"room":"a"}`)
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		s.cut()
		for i := range 12 { // more than one packet may carry
			other.Acks++
			other.Text(fmt.Sprintf(`451-%d["publish",{"room":"a","data":{"_placeholder":true,"num":0}}]`, other.Acks))
			other.Write(wiretest.ClientFrame(0x82, []byte{byte(i)}))
			other.FrameUntil(wiretest.OpBinary)
		}
		s.again()
		s.expectRecovered(true)
		s.expectSeen(counted("a", 1, 12)...)
		for i, a := range s.attachments {
			if len(a) != 1 || a[0] != byte(i) {
				t.Errorf("attachment %d is %v", i, a)
			}
		}
	})
}

// If connections are cut again and again, at any moment, while others publish to several rooms,
// nothing is lost, doubled, or out of the order in which it was stored.
func TestResumeUnderLoad(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		rooms := []string{"a", "b", "c"}
		s := r.returning("")
		for _, room := range rooms {
			s.Call("join", `{"room":"`+room+`"}`)
		}
		ctx, stop := context.WithCancel(t.Context())
		var talking sync.WaitGroup
		for i := range 3 {
			talking.Go(func() {
				user := fmt.Sprint("u", i)
				for n := 0; ctx.Err() == nil; n++ {
					room := rooms[(n+i)%len(rooms)]
					body := fmt.Sprintf(`"id":"%d","from":{"id":%q},"data":%d`, n, user, n)
					r.broker.Publish(ctx, broker.Publication{Room: room, User: user, ID: fmt.Sprint(n), Body: body})
					<-time.After(time.Millisecond)
				}
			})
		}
		last := map[string]int{}
		for range 100 {
			s.hear()
			s.cut()
			<-time.After(5 * time.Millisecond)
			s.again()
			if s.expectRecovered(true); t.Failed() {
				break
			}
		}
		stop()
		talking.Wait()
		s.hear()
		for _, one := range s.seen {
			var room string
			var seq int
			if _, err := fmt.Sscan(one, &room, &seq); err != nil {
				t.Fatal(err)
			}
			if seq != last[room]+1 {
				t.Fatalf("%s: %d after %d", room, seq, last[room])
			}
			last[room] = seq
		}
		for _, room := range rooms {
			tail, _ := r.srv.hub.Tail(room)
			if int(tail.Seq) != last[room] || last[room] < 100 {
				t.Errorf("%s: heard %d of %d", room, last[room], tail.Seq)
			}
		}
	}, "HISTORY_LIMIT=10000")
}
