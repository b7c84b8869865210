package client

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReconnectRejoinsSinceTheLastOffset(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{History: 10, Presence: true}, 1, 2)
		join(t, c, s, "b", JoinOptions{})
		s.event("message", message("a", 3))
		l.take()
		s.cut()

		s = r.next()
		a := s.request("join")
		if a.arg["since"] != "o3" || a.arg["history"] != 10.0 || a.arg["presence"] != true {
			t.Errorf("rejoined with %s", a.text)
		}
		b := s.request("join")
		if b.arg["since"] != "o0" || b.arg["room"] != "b" {
			t.Errorf("rejoined with %s", b.text)
		}
		s.event("message", message("a", 5)) // also part of what was missed
		s.event("message", message("a", 6))
		a.ack(joinAck("a", true, "o5", 4, 5))
		b.ack(joinAck("b", true, "o0"))
		s.event("message", message("a", 6)) // sent twice
		s.event("message", message("a", 7))
		want := "recovered a 4; recovered a 5; rejoined a true 2; message a 6; rejoined b true 0; message a 7"
		if got := l.take(); got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
	})
}

func TestHeldMessagesComeInOrder(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		s.cut()
		s = r.next()
		rejoin := s.request("join")
		for _, n := range []int{5, 3, 4, 4} {
			s.event("message", message("a", n))
		}
		rejoin.ack(joinAck("a", true, "o3", 2, 3))
		want := "recovered a 2; recovered a 3; rejoined a true 2; message a 4; message a 5"
		if got := l.take(); got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
	})
}

// When all of a room's history has expired, Seq begins again, for a client that stayed and for one
// that comes back.
func TestNumbersBeginAgain(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		again := func(seq int) map[string]any {
			m := message("a", seq)
			m["offset"] = fmt.Sprint("p", seq)
			return m
		}
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1, 2)
		s.event("message", again(1))
		s.event("message", again(1))
		s.event("message", again(2))
		s.cut()
		s = r.next()
		rejoin := s.request("join")
		s.event("message", message("a", 9)) // one of the old numbers, then new ones
		s.event("message", message("a", 1))
		s.event("message", message("a", 2))
		rejoin.ack(joinAck("a", true, "o9", 7, 8, 9))
		want := "message a 1; message a 2; recovered a 7; recovered a 8; recovered a 9; rejoined a true 3; message a 1; message a 2"
		if got := l.take(); got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
	})
}

// Message 1, whose offset the join's answer has, is the room's only one.
func TestTheFirstMessageIsNotTwice(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		done := make(chan error, 1)
		go func() { _, err := c.Join(t.Context(), "a", JoinOptions{}); done <- err }()
		q := s.request("join")
		s.event("message", message("a", 1))
		q.ack(joinAck("a", false, "o1"))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s.event("message", message("a", 2))
		if got := l.take(); got != "message a 2" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestRejoinThatCannotRecover(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{History: 2}, 8, 9)
		s.cut()
		s = r.next()
		rejoin := s.request("join")
		s.event("message", message("a", 3))
		rejoin.ack(joinAck("a", false, "o2", 1, 2))
		if got, want := l.take(), "reset a rejoin 2; rejoined a false 0; message a 3"; got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
		s.cut()
		if got := r.next().request("join").arg["since"]; got != "o3" {
			t.Errorf("then rejoined since %v", got)
		}
	})
}

func TestReset(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 8, 9)
		s.event("reset", map[string]any{"room": "a", "recovered": false, "reason": "epoch", "offset": "p2",
			"messages": []any{message("a", 1), message("a", 2)}, "count": 1})
		s.event("message", message("a", 2))
		s.event("message", message("a", 3))
		s.event("reset", map[string]any{"room": "b", "reason": "epoch"})
		if got, want := l.take(), "reset a epoch 2; message a 3"; got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
	})
}

// Relays promise no gaps. A client that sees one rejoins, and does not go on as if nothing were
// missing.
func TestHoleIsMended(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		s.event("message", message("a", 4))
		q := s.request("join")
		if q.arg["since"] != "o1" {
			t.Errorf("asked with %s", q.text)
		}
		s.event("message", message("a", 5))
		q.ack(joinAck("a", true, "o4", 2, 3, 4))
		want := "error " + errGap.Error() + "; recovered a 2; recovered a 3; recovered a 4; rejoined a true 3; message a 5"
		if got := l.take(); got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
	})
}

func TestRejoinIsTriedAgain(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		s.cut()
		s = r.next()
		s.request("join").ack(refusedBusy)
		before := time.Now()
		q := s.request("join")
		if waited := time.Since(before); waited != 1250*time.Millisecond {
			t.Errorf("asked again after %v", waited)
		}
		q.ack(joinAck("a", true, "o1"))
		if got := l.take(); got != "rejoined a true 0" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestRejoinRefused(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		s.cut()
		s = r.next()
		s.request("join").ack(`{"ok":false,"error":{"code":"forbidden","message":"no"}}`)
		if got, want := l.take(), `error rejoin "a": relay: no (forbidden)`; got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
		s.cut()
		r.next().quiet()
	})
}

func TestLeave(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		done := make(chan error, 1)
		go func() { done <- c.Leave(t.Context(), "a") }()
		q := s.request("leave")
		s.event("message", message("a", 2))
		q.ack(`{"ok":true}`)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := c.Leave(t.Context(), "a"); err != nil {
			t.Errorf("leaving twice: %v", err)
		}
		s.cut()
		r.next().quiet()
		if got := l.take(); got != "" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestLeaveWhenTheConnectionGoes(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		done := make(chan error, 1)
		go func() { done <- c.Leave(t.Context(), "a") }()
		s.request("leave")
		s.cut()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.next().quiet()
	})
}

// While a join waits for its answer, messages are held, up to a bound.
func TestHoldingIsBounded(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		s.cut()
		s = r.next()
		s.request("join")
		for n := range maxHeld + 1 {
			s.event("message", message("a", n+2))
		}
		s = r.next()
		if got := l.take(); got != "error "+errTooManyHeld.Error() {
			t.Errorf("told: %s", got)
		}
		s.request("join")
	})
}

// A Handler that blocks stops the reading of the connection, but not the client.
func TestSlowHandler(t *testing.T) {
	var release chan struct{}
	n := 0
	o := Options{Handler: Handler{Message: func(Message) { <-release; n++ }}}
	play(t, o, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		release = make(chan struct{}) // made in this bubble
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		for i := range 2 * maxBacklog {
			s.event("message", message("a", i+2))
		}
		synctest.Wait()
		if left := len(s.down); left < maxBacklog/2 {
			t.Errorf("only %d frames were left unread", left)
		}
		if err := c.Signal("a", 1); err != nil {
			t.Errorf("the client is stuck: %v", err)
		}
		close(release)
		synctest.Wait()
		if n != 2*maxBacklog {
			t.Errorf("%d messages were handled", n)
		}
	})
}

// If another connection of the same user gives another name, the client adopts it, and sends it
// when it reconnects.
func TestRenamed(t *testing.T) {
	play(t, Options{Name: "Ann", Key: "0123456789abcdef"}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{Presence: true})
		self := User{ID: "ours", Name: "Ann", Guest: true}
		s.event("welcome", map[string]any{"relay": "r1", "user": self})
		l.take()
		s.event("presence", map[string]any{"room": "a", "count": 2, "renamed": []any{map[string]any{"id": "somebody else", "name": "Ben"}}})
		if got := l.take(); got != "presence a 2 +0 -0 =Ben" {
			t.Error(got)
		}
		if c.State().User != self {
			t.Error(c.State().User)
		}
		s.event("presence", map[string]any{"room": "a", "count": 2, "renamed": []any{map[string]any{"id": self.ID, "name": "Anna", "guest": true}}})
		if got := l.take(); got != "presence a 2 +0 -0 =Anna" {
			t.Error(got)
		}
		if u := c.State().User; u.ID != self.ID || u.Name != "Anna" {
			t.Error(u)
		}
		s.cut()
		s = <-r.conns
		s.send(handshake)
		if got := s.read(); !strings.HasPrefix(got, `40{"name":"Anna","key":"0123456789abcdef","compact":true,`) {
			t.Errorf("connects again with %s", got)
		}
	})
}
