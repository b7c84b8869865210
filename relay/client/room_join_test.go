package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestJoin(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		j := join(t, c, s, "a", JoinOptions{History: 2, Presence: true}, 4, 5)
		if j.Room != "a" || len(j.Messages) != 2 || j.Messages[1].Seq != 5 || j.Count != 2 {
			t.Errorf("%+v", j)
		}
		s.event("message", message("a", 6))
		s.event("message", message("b", 1)) // a room that we are not in
		s.event("signal", map[string]any{"room": "a", "from": map[string]any{"name": "Ben"}, "data": 1})
		s.event("presence", map[string]any{"room": "a", "count": 3, "joined": []any{map[string]any{"id": "u"}}})
		s.event("error_event", map[string]any{"ok": false, "error": map[string]any{"code": "bad_request", "message": "what?"}})
		want := "message a 6; signal a Ben 1; presence a 3 +1 -0; error relay: what? (bad_request)"
		if got := l.take(); got != want {
			t.Errorf("told: %s\nwant: %s", got, want)
		}
	})
}

func TestJoinRefused(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		done := make(chan error, 1)
		go func() { _, err := c.Join(t.Context(), "a", JoinOptions{}); done <- err }()
		s.request("join").ack(refusedBusy)
		var e *Error
		if err := <-done; !errors.As(err, &e) || e.Code != "unavailable" || e.Retry != 1000 {
			t.Errorf("%v", err)
		}
		s.cut()
		r.next().quiet() // it is not joined again
	})
}

func TestJoinWaitsForAConnection(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		done := make(chan error, 1)
		go func() { _, err := c.Join(t.Context(), "a", JoinOptions{History: 3}); done <- err }()
		r.next().request("join")
		c.do(func() { c.onDisconnect(errGone) })
		q := r.next().request("join")
		if q.arg["history"] != 3.0 || q.arg["since"] != nil {
			t.Errorf("asked with %s", q.text)
		}
		q.ack(joinAck("a", false, "o1", 1))
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := l.take(); got != "" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestJoinNotAnswered(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		done := make(chan error, 1)
		go func() { _, err := c.Join(t.Context(), "a", JoinOptions{}); done <- err }()
		s.request("join")
		go func() {
			time.Sleep(ackTimeout / 2)
			s.send("2") // the relay is alive
		}()
		if err := <-done; err != ErrTimeout {
			t.Errorf("%v", err)
		}
		s.request("leave") // in case the relay took the join
	})
}

func TestJoinCancelled(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { _, err := c.Join(ctx, "a", JoinOptions{}); done <- err }()
		q := s.request("join")
		go func() { _, err := c.Join(ctx, "a", JoinOptions{Presence: true}); done <- err }()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-done; err != context.Canceled {
				t.Errorf("%v", err)
			}
		}
		s.request("leave").ack(`{"ok":true}`)
		q.ack(joinAck("a", false, "o1", 1))
		s.event("message", message("a", 2))
		s.quiet()
		if got := l.take(); got != "" {
			t.Errorf("told: %s", got)
		}
		join(t, c, s, "a", JoinOptions{}, 2)
	})
}

// The first of two calls of Join gives up; the second gets its answer.
func TestJoinOfTwo(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := c.Join(ctx, "a", JoinOptions{}); first <- err }()
		q := s.request("join")
		go func() { _, err := c.Join(t.Context(), "a", JoinOptions{Presence: true}); second <- err }()
		synctest.Wait()
		cancel()
		<-first
		q.ack(joinAck("a", false, "o1", 1))
		q = s.request("join")
		if q.arg["presence"] != true {
			t.Errorf("asked with %s", q.text)
		}
		q.ack(joinAck("a", false, "o1", 1))
		if err := <-second; err != nil {
			t.Error(err)
		}
	})
}

func TestJoinAgainWithOtherOptions(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		s.event("message", message("a", 2))
		if j := join(t, c, s, "a", JoinOptions{History: 5, Presence: true}, 1, 2); len(j.Messages) != 2 {
			t.Errorf("%+v", j)
		}
		s.event("message", message("a", 3))
		if got := l.take(); got != "message a 2; message a 3" {
			t.Errorf("told: %s", got)
		}
		s.cut()
		if q := r.next().request("join"); q.arg["presence"] != true || q.arg["since"] != "o3" {
			t.Errorf("rejoined with %s", q.text)
		}
	})
}
