package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// again accepts the client's next connection, and returns what its CONNECT says of rooms. answers are those of
// the welcome.
func (r *fakeRelay) again(answers ...string) (s *fakeConn, rooms string) {
	r.t.Helper()
	s = <-r.conns
	s.send(handshake)
	_, rooms, _ = strings.Cut(s.read(), `"rooms":`)
	s.send(`40{"sid":"s1"}`)
	s.send(`42["welcome",{"joined":[` + strings.Join(answers, ",") + `]},"o"]`)
	return s, strings.TrimSuffix(rooms, "}")
}

// After a reconnect the rooms are in the CONNECT, and what was missed is in the welcome: nothing waits for a join.
func TestRejoinsGoWithTheConnect(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{Presence: true}, 1)
		join(t, c, s, "b", JoinOptions{}, 1)
		l.take()
		s.cut()
		synctest.Wait()
		done := publish(t.Context(), c, "a", "p", "p")
		s, rooms := r.again(joinAck("a", true, "o3", 2, 3), joinAck("b", true, "o1"))
		if want := `[{"room":"a","since":"o1","presence":true},{"room":"b","since":"o1"}]`; rooms != want {
			t.Errorf("rooms: %s, want %s", rooms, want)
		}
		s.request("publish").ack(ok(4))
		if got := <-done; got.err != nil {
			t.Error(got.err)
		}
		if got := l.take(); got != "recovered a 2; recovered a 3; rejoined a true 2; rejoined b true 0" {
			t.Error(got)
		}
		s.event("message", message("a", 4))
		if got := l.take(); got != "message a 4" {
			t.Error(got)
		}
		s.quiet()
	})
}

// Joins that wait for a connection go with the CONNECT, too; what the relay does not answer is asked for by a join.
func TestJoinsGoWithTheConnect(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		results := map[string]chan string{}
		for _, name := range []string{"a", "b", "c"} {
			out := make(chan string, 1)
			results[name] = out
			go func() {
				j, err := c.Join(t.Context(), name, JoinOptions{History: 5})
				var refused *Error
				errors.As(err, &refused)
				if refused != nil {
					out <- refused.Code
					return
				}
				out <- fmt.Sprint(j.Offset, " ", len(j.Messages), " ", err)
			}()
			synctest.Wait()
		}
		s, rooms := r.again(joinAck("a", false, "o2", 1, 2), `{"ok":false,"room":"b","error":{"code":"full","message":"the room is full"}}`)
		if want := `[{"room":"a","history":5},{"room":"b","history":5},{"room":"c","history":5}]`; rooms != want {
			t.Errorf("rooms: %s, want %s", rooms, want)
		}
		q := s.request("join")
		if q.arg["room"] != "c" {
			t.Error(q.text)
		}
		q.ack(joinAck("c", false, "o1", 1))
		for name, want := range map[string]string{"a": "o2 2 <nil>", "b": "full", "c": "o1 1 <nil>"} {
			if got := <-results[name]; got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		s.quiet()
	})
}

// A room that is left before the welcome says that the relay has us in it is left there, too.
func TestLeaveBeforeTheWelcome(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		l.take()
		s.cut()
		s = <-r.conns
		s.send(handshake)
		s.read()
		if err := c.Leave(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		s.send(`40{"sid":"s1"}`)
		s.send(`42["welcome",{"joined":[` + joinAck("a", true, "o2", 2) + `]},"o"]`)
		q := s.request("leave")
		if q.arg["room"] != "a" {
			t.Error(q.text)
		}
		q.ack(`{"ok":true}`)
		if got := l.take(); got != "" {
			t.Error(got)
		}
	})
}

// Named events are told in one order with messages, leave no gap, and are recovered.
func TestNamedEvents(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		named := message("a", 2)
		delete(named, "data")
		named["event"], named["args"] = "e", []any{"x"}
		s.event("message", named)
		s.event("message", message("a", 3))
		if got := l.take(); got != `event e ["x"] a 2; message a 3` {
			t.Error(got)
		}
		s.cut()
		older := message("a", 4)
		older["event"], older["data"] = "e", []any{"y"}
		list := strings.Replace(joinAck("a", true, "o4"), `"messages":[]`, `"messages":[`+text(t, older)+`]`, 1)
		r.again(list)
		if got := l.take(); got != `recovered e ["y"] a 4; rejoined a true 1` {
			t.Error(got)
		}
		for _, bad := range []string{"", "\xff"} {
			if _, err := c.PublishEvent(t.Context(), "a", bad, nil, nil, ""); err == nil {
				t.Errorf("%q is published", bad)
			}
		}
		if _, err := c.PublishEvent(t.Context(), "a", "e", []any{1}, [][]byte{[]byte("not named")}, ""); err == nil {
			t.Error("an attachment that nothing names")
		}
	})
}
