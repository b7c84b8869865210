package client

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/socketio"
)

func TestPublish(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		done := publish(t.Context(), c, "a", json.RawMessage(`{ "n":1.10, "html":"<b>" }`), "m1")
		q := s.request("publish")
		if want := `["publish",{"room":"a","id":"m1","data":{ "n":1.10, "html":"<b>" }}]`; !strings.HasSuffix(q.text, want) {
			t.Errorf("sent %s, want %s", q.text, want)
		}
		q.ack(`{"ok":true,"room":"a","id":"m1","offset":"o1","seq":1,"at":5,"duplicate":true}`)
		want := Published{Room: "a", ID: "m1", Offset: "o1", Seq: 1, At: 5, Duplicate: true}
		if got := <-done; got.err != nil || got.Published != want {
			t.Errorf("%+v", got)
		}
		done = publish(t.Context(), c, "a", map[string]string{"text": "<b>"}, "")
		q = s.request("publish")
		if id, _ := q.arg["id"].(string); len(id) != 12 || !strings.Contains(q.text, `"data":{"text":"<b>"}`) {
			t.Errorf("sent %s", q.text)
		}
		q.ack(ok(2))
		<-done
	})
}

func TestPublishIsSentAgainAfterTheRejoin(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{}, 1)
		var done []<-chan publishResult
		for _, id := range []string{"p1", "p2", "p3"} {
			done = append(done, publish(t.Context(), c, "a", id, id))
			s.request("publish")
		}
		s.cut()
		synctest.Wait()
		done = append(done, publish(t.Context(), c, "a", "p4", "p4")) // without a connection
		s = r.next()
		q := s.request("join")
		s.quiet() // nothing goes out before the room is joined again
		q.ack(joinAck("a", true, "o2", 2))
		for i, id := range []string{"p1", "p2", "p3", "p4"} {
			q := s.request("publish")
			if q.arg["id"] != id || q.arg["data"] != id {
				t.Errorf("publish %d was %s", i, q.text)
			}
			q.ack(ok(i + 3))
		}
		for i, d := range done {
			if got := <-d; got.err != nil || got.Seq != int64(i+3) {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestPublishIsTriedAgain(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		first := publish(t.Context(), c, "a", 1, "p1")
		s.request("publish").ack(refusedBusy)
		synctest.Wait()
		second := publish(t.Context(), c, "a", 2, "p2") // waits behind the first
		other := publish(t.Context(), c, "b", 3, "p3")  // does not
		if q := s.request("publish"); q.arg["id"] != "p3" {
			t.Fatalf("sent %s", q.text)
		} else {
			q.ack(`{"ok":false,"error":{"code":"not_joined","message":"join first"}}`)
		}
		var e *Error
		if got := <-other; !errors.As(got.err, &e) || e.Code != "not_joined" {
			t.Errorf("%+v", got)
		}
		before := time.Now()
		for i, id := range []string{"p1", "p2"} {
			q := s.request("publish")
			if q.arg["id"] != id {
				t.Errorf("sent %s", q.text)
			}
			q.ack(ok(i + 1))
		}
		if waited := time.Since(before); waited != 1250*time.Millisecond {
			t.Errorf("sent again after %v", waited)
		}
		for _, d := range []<-chan publishResult{first, second} {
			if got := <-d; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

// A publish that is not answered is sent again, and fails in the end.
func TestPublishTimesOut(t *testing.T) {
	play(t, Options{PublishTimeout: 25 * time.Second}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		start := time.Now()
		done := publish(t.Context(), c, "a", 1, "p1")
		for range 3 {
			if q := s.request("publish"); q.arg["id"] != "p1" {
				t.Errorf("sent %s", q.text)
			}
		}
		if res := <-done; res.err != ErrTimeout || time.Since(start) != 25*time.Second {
			t.Errorf("%v after %v", res.err, time.Since(start))
		}
	})
}

func TestPublishWithoutAConnectionTimesOut(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := <-r.conns
		r.refuseWith(errGone)
		s.cut()
		start := time.Now()
		if got := <-publish(t.Context(), c, "a", 1, "p1"); got.err != ErrTimeout || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", got.err, time.Since(start))
		}
	})
}

func TestPublishCancelled(t *testing.T) {
	play(t, Options{MaxPending: 1}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		ctx, cancel := context.WithCancel(t.Context())
		done := publish(ctx, c, "a", 1, "p1")
		synctest.Wait()
		cancel()
		if got := <-done; got.err != context.Canceled {
			t.Errorf("%v", got.err)
		}
		s := r.next()
		s.quiet() // it is not sent
		again := publish(t.Context(), c, "a", 2, "p2")
		s.request("publish").ack(ok(1))
		if got := <-again; got.err != nil {
			t.Errorf("its place was not given back: %v", got.err)
		}
	})
}

func TestPendingIsBounded(t *testing.T) {
	play(t, Options{MaxPending: 3}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		var done []<-chan publishResult
		for range 3 {
			done = append(done, publish(t.Context(), c, "a", 1, ""))
		}
		synctest.Wait()
		if _, err := c.Publish(t.Context(), "a", 1, ""); err != ErrTooManyPending {
			t.Errorf("a fourth publish: %v", err)
		}
		if _, err := c.Join(t.Context(), "a", JoinOptions{}); err != ErrTooManyPending {
			t.Errorf("a join: %v", err)
		}
		if _, err := c.History(t.Context(), "a", "", 0); err != ErrTooManyPending {
			t.Errorf("history: %v", err)
		}
		s := r.next()
		for i := range done {
			s.request("publish").ack(ok(i + 1))
			<-done[i]
		}
	})
}

// At most maxInFlight requests are unanswered, even if MaxPending allows more.
func TestInFlightIsBounded(t *testing.T) {
	play(t, Options{MaxPending: 10 * maxQueuedPackets}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		const n = 2 * maxQueuedPackets
		results := make(chan publishResult, n)
		for range n {
			go func() {
				p, err := c.Publish(t.Context(), "a", 1, "")
				results <- publishResult{p, err}
			}()
		}
		s := r.next()
		synctest.Wait()
		if got := len(s.up); got > maxInFlight+2 {
			t.Errorf("%d frames at once", got)
		}
		for i := range n {
			s.request("publish").ack(ok(i + 1))
		}
		for range n {
			if got := <-results; got.err != nil {
				t.Fatal(got.err)
			}
		}
	})
}

// Data for which a relay would close the connection is never sent.
func TestPublishOfWhatNoRelayTakes(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		for name, data := range map[string]any{
			"too deep":     json.RawMessage(strings.Repeat("[", socketio.MaxDepth-1) + strings.Repeat("]", socketio.MaxDepth-1)),
			"not JSON":     json.RawMessage(`{"a":`),
			"two values":   json.RawMessage(`1 2`),
			"not UTF-8":    json.RawMessage("\"\xff\""),
			"not sayable":  make(chan int),
			"empty":        json.RawMessage{},
			"breaking out": json.RawMessage(`1}],"x":[{"y":2`),
		} {
			if _, err := c.Publish(t.Context(), "a", data, ""); err == nil {
				t.Errorf("%s: published", name)
			}
			if err := c.Signal("a", data); err == nil {
				t.Errorf("%s: signalled", name)
			}
		}
		var e *Error
		_, err := c.Publish(t.Context(), "a", strings.Repeat("x", 10_000), "")
		if !errors.As(err, &e) || e.Code != "too_large" {
			t.Errorf("too large: %v", err)
		}
		for _, room := range []string{"", "\xff"} {
			if _, err := c.Publish(t.Context(), room, 1, ""); err == nil {
				t.Errorf("published to %q", room)
			}
		}
		for _, id := range []string{"\xff", "\xed\xa0\xbd"} {
			if _, err := c.Publish(t.Context(), "a", 1, id); !errors.Is(err, errID) {
				t.Errorf("published as %q: %v", id, err)
			}
		}
		s.quiet()
	})
}

func TestSignal(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		if err := c.Signal("a", 1); err != nil { // no connection
			t.Error(err)
		}
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		if err := c.Signal("b", 1); err != nil { // not joined
			t.Error(err)
		}
		if err := c.Signal("a", map[string]bool{"typing": true}); err != nil {
			t.Error(err)
		}
		if q := s.request("signal"); q.text != `2["signal",{"room":"a","data":{"typing":true}}]` {
			t.Errorf("sent %s", q.text)
		}
		s.quiet()
	})
}

func TestHistoryAndMembers(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		go func() {
			q := s.request("history")
			if q.arg["before"] != "o9" || q.arg["limit"] != 2.0 {
				t.Errorf("asked with %s", q.text)
			}
			b, _ := json.Marshal([]any{message("a", 7), message("a", 8)})
			q.ack(`{"ok":true,"messages":` + string(b) + `,"more":true}`)
			s.request("members").ack(`{"ok":true,"count":1,"members":[{"id":"u1","name":"Asha","guest":true}]}`)
			s.request("history").ack(`{"ok":false,"error":{"code":"gap","message":"no more"}}`)
		}()
		h, err := c.History(t.Context(), "a", "o9", 2)
		if err != nil || len(h.Messages) != 2 || h.Messages[1].Seq != 8 || !h.More {
			t.Errorf("%+v %v", h, err)
		}
		m, err := c.Members(t.Context(), "a")
		if err != nil || m.Count != 1 || m.Members[0] != (User{ID: "u1", Name: "Asha", Guest: true}) {
			t.Errorf("%+v %v", m, err)
		}
		var e *Error
		if _, err = c.History(t.Context(), "a", "", 0); !errors.As(err, &e) || e.Code != "gap" {
			t.Errorf("%v", err)
		}
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, body := range []string{``, `{}`, `1`, `{"ok":false}`, `{"ok":true,"count":"many"}`} {
		play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
			s := r.next()
			go func() { s.request("members").ack(body) }()
			if m, err := c.Members(t.Context(), "a"); err == nil {
				t.Errorf("%q was taken for %+v", body, m)
			}
		})
	}
}

// What a relay takes from others comes through, wrapped in an answer as well.
func TestDeepData(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		const most = socketio.MaxDepth - 2 // the event's array and its object
		deep := strings.Repeat("[", most) + strings.Repeat("]", most)
		m := message("a", 1)
		m["data"] = json.RawMessage(deep)
		s.event("message", m)
		s.event("message", message("a", 2))
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan History, 1)
		go func() {
			h, err := c.History(t.Context(), "a", "", 0)
			if err != nil {
				t.Error(err)
			}
			done <- h
		}()
		s.request("history").ack(`{"ok":true,"messages":[` + string(text) + `],"more":false}`)
		if h := <-done; len(h.Messages) != 1 || string(h.Messages[0].Data) != deep {
			t.Errorf("%d messages", len(h.Messages))
		}
		published := publish(t.Context(), c, "a", json.RawMessage(deep), "")
		s.request("publish").ack(ok(3))
		if got := <-published; got.err != nil {
			t.Error(got.err)
		}
		synctest.Wait()
		if got := l.take(); !strings.Contains(got, "message a 1") || !strings.Contains(got, "message a 2") {
			t.Errorf("told %.200s", got)
		}
	})
}
