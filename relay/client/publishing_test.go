package client

import (
	"errors"
	"fmt"
	"testing"
)

// Publishes that were started are sent in order, without waiting for one another, and again in order after
// a reconnect; each has its own outcome.
func TestStartPublish(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		var started []*Publishing
		for i := range 10 {
			p, err := c.StartPublish("a", i, fmt.Sprint("p", i))
			if err != nil {
				t.Fatal(err)
			}
			started = append(started, p)
		}
		var asked []request
		for i := range 10 { // none is answered
			q := s.request("publish")
			if q.arg["id"] != fmt.Sprint("p", i) {
				t.Errorf("publish %d was %s", i, q.text)
			}
			asked = append(asked, q)
		}
		asked[0].ack(ok(2))
		asked[1].ack(`{"ok":false,"error":{"code":"too_large","message":"no"}}`)
		if got, err := started[0].Wait(t.Context()); err != nil || got.Seq != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		var refused *Error
		if _, err := started[1].Wait(t.Context()); !errors.As(err, &refused) || refused.Code != "too_large" {
			t.Errorf("%v", err)
		}
		s.cut()
		s = r.next()
		s.request("join").ack(joinAck("a", true, "o2", 2))
		for i := 2; i < 10; i++ {
			q := s.request("publish")
			if q.arg["id"] != fmt.Sprint("p", i) {
				t.Errorf("publish %d was, again, %s", i, q.text)
			}
			q.ack(ok(i + 1))
		}
		for i, p := range started[2:] {
			if got, err := p.Wait(t.Context()); err != nil || got.Seq != int64(i+3) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		for _, bad := range []string{"", "\xff"} {
			if _, err := c.StartPublish(bad, 1, ""); err == nil {
				t.Errorf("into %q", bad)
			}
		}
		_ = c.Close()
		if _, err := c.StartPublish("a", 1, ""); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
