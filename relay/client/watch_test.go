package client

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSilence(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		s.request("ping").ack(`{"ok":true}`)
		time.Sleep(earlyInterval + probeTimeout + time.Millisecond)
		if s := c.State(); s.Status != Waiting || s.Err != errNoResponse {
			t.Errorf("%+v", s)
		}
	})
}

// Where the relay can't do something, how its way to the store is gets asked at once, and soon again while that is
// slow.
func TestUnavailableAsksForTheStore(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		time.Sleep(earlyRTTs*earlyInterval + time.Second)
		s.request("ping").ack(`{"ok":true}`)
		synctest.Wait()
		publish(t.Context(), c, "a", 1, "p1")
		s.request("publish").ack(refusedBusy)
		for _, wait := range []time.Duration{0, earlyInterval} {
			before := time.Now()
			q := s.request("ping")
			if waited := time.Since(before); waited != wait {
				t.Errorf("asked after %v instead of %v", waited, wait)
			}
			q.ack(`{"ok":true,"store":6000}`)
		}
		synctest.Wait()
		if got := c.State().Store; got != 6*time.Second {
			t.Errorf("the store takes %v", got)
		}
	})
}
