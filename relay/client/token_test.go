package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tokens is a source of tokens for FetchToken: t1, t2 and so on, or errors.
type tokens struct {
	// guarded by mu
	mu    sync.Mutex
	asked int
	fail  error
	empty bool
}

func (s *tokens) fetch(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	switch {
	case s.fail != nil:
		return "", s.fail
	case s.empty:
		return "", nil
	}
	return fmt.Sprint("t", s.asked), nil
}

func (s *tokens) set(fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// begin takes the client's next connection up to its CONNECT, which it returns.
func (r *fakeRelay) begin() (*fakeConn, string) {
	r.t.Helper()
	s := <-r.conns
	s.send(handshake)
	return s, s.read()
}

const refused = `44{"message":"the token has expired","data":{"code":"unauthorized"}}`

func TestFetchTokenForEachConnect(t *testing.T) {
	source := &tokens{}
	play(t, Options{Token: "static", FetchToken: source.fetch}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		for _, want := range []string{`40{"token":"t1","compact":true,"objects":true,"places":true}`, `40{"token":"t2","compact":true,"objects":true,"places":true}`} {
			s, connect := r.begin()
			if connect != want {
				t.Errorf("CONNECT was %s, want %s", connect, want)
			}
			s.send(`40{"sid":"s"}`)
			synctest.Wait()
			if c.State().Status != Connected {
				t.Errorf("%+v", c.State())
			}
			s.cut()
		}
	})
}

func TestFetchTokenFails(t *testing.T) {
	source := &tokens{fail: errors.New("signed out")}
	play(t, Options{FetchToken: source.fetch}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := <-r.conns
		s.send(handshake)
		synctest.Wait()
		if st := c.State(); st.Status != Waiting || !errors.Is(st.Err, source.fail) {
			t.Fatalf("%+v", st)
		}
		if got := l.take(); got != "error token: signed out" {
			t.Errorf("told: %s", got)
		}
		source.set(nil)
		if _, connect := r.begin(); connect != `40{"token":"t2","compact":true,"objects":true,"places":true}` {
			t.Errorf("CONNECT was %s", connect)
		}
	})
}

// A source that does not answer blocks nothing, and is let go with the attempt, or the client.
func TestFetchTokenThatHangs(t *testing.T) {
	var ended []error
	hang := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		ended = append(ended, ctx.Err())
		return "", ctx.Err()
	}
	play(t, Options{FetchToken: hang}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		for range 2 {
			s := <-r.conns
			s.send(handshake)
			s.send("2")
			if got := s.read(); got != "3" {
				t.Errorf("a ping is answered by %q", got)
			}
			time.Sleep(connectTimeout)
			synctest.Wait()
			if st := c.State(); st.Status != Waiting || st.Err != errConnectTimeout {
				t.Fatalf("%+v", st)
			}
		}
		s := <-r.conns
		s.send(handshake)
		synctest.Wait()
		c.Close()
		if len(ended) != 3 {
			t.Errorf("%d calls ended", len(ended))
		}
	})
}

func TestRefusedTokenIsTriedAgain(t *testing.T) {
	source := &tokens{}
	play(t, Options{FetchToken: source.fetch}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s, _ := r.begin()
		s.send(refused)
		s, connect := r.begin()
		if connect != `40{"token":"t2","compact":true,"objects":true,"places":true}` {
			t.Errorf("CONNECT was %s", connect)
		}
		s.send(`40{"sid":"s"}`)
		s.cut()
		for n := range 1 + maxRefusals { // counted anew
			s, connect = r.begin()
			if want := fmt.Sprintf(`40{"token":"t%d","compact":true,"objects":true,"places":true}`, 3+n); connect != want {
				t.Errorf("CONNECT was %s, want %s", connect, want)
			}
			s.send(refused)
		}
		synctest.Wait()
		var e *ConnectError
		if st := c.State(); st.Status != Closed || !errors.As(st.Err, &e) || e.Code != "unauthorized" {
			t.Errorf("%+v", st)
		}
	})
}

// A client that came too soon comes again, however often.
func TestRefusedForARateComesAgain(t *testing.T) {
	play(t, Options{Token: "t"}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		for range maxRefusals + 2 {
			s, _ := r.begin()
			s.send(`44{"message":"too many connections of this user","data":{"code":"rate_limited","retry":5000}}`)
			synctest.Wait()
			if st := c.State(); st.Status != Waiting {
				t.Fatalf("%+v", st)
			}
		}
		s, _ := r.begin()
		s.send(`40{"sid":"s"}`)
		synctest.Wait()
		if st := c.State(); st.Status != Connected {
			t.Errorf("%+v", st)
		}
	})
}

func TestRefusalsThatAreFinal(t *testing.T) {
	for name, c := range map[string]struct {
		o      Options
		answer string
	}{
		"no source":    {Options{Token: "t"}, refused},
		"no token":     {Options{FetchToken: (&tokens{empty: true}).fetch}, refused},
		"revoked":      {Options{FetchToken: (&tokens{}).fetch}, `44{"message":"x","data":{"code":"revoked"}}`},
		"other reason": {Options{FetchToken: (&tokens{}).fetch}, `44{"message":"x","data":{"code":"bad_request"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, c.o, func(t *testing.T, r *fakeRelay, client *Client, l *log) {
				s, _ := r.begin()
				s.send(c.answer)
				synctest.Wait()
				if st := client.State(); st.Status != Closed {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

const taken = `{"ok":true,"expires":7,"left":["a"]}`

func TestTokenExpires(t *testing.T) {
	source := &tokens{}
	play(t, Options{FetchToken: source.fetch}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		join(t, c, s, "b", JoinOptions{})
		l.take()
		s.send(`420["token_expires",{"expires":1}]`)
		q := s.request("token")
		if q.arg["token"] != "t2" {
			t.Errorf("token %v", q.arg)
		}
		if got := s.answerPings(); got != `430[{"token":"t2"}]` {
			t.Errorf("the ack was %s", got)
		}
		q.ack(taken)
		if got := l.take(); got != "renewed 7 [a]" {
			t.Errorf("told: %s", got)
		}
		s.event("message", message("a", 1))
		s.event("message", message("b", 1))
		if got := l.take(); got != "message b 1" {
			t.Errorf("after leaving a: %s", got)
		}
		s.cut()
		s = r.next()
		if q := s.request("join"); q.arg["room"] != "b" {
			t.Errorf("rejoins %v", q.arg)
		}
		s.quiet()
	})
}

// A source that fails is asked again until the connection ends.
func TestTokenExpiresWithoutAnother(t *testing.T) {
	source := &tokens{}
	play(t, Options{FetchToken: source.fetch}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		synctest.Wait()
		l.take()
		source.set(errors.New("away"))
		s.send(`425["token_expires",{"expires":1}]`)
		for _, d := range []time.Duration{0, time.Second, 2 * time.Second} {
			time.Sleep(d)
			if got := l.take(); got != "error token: away" {
				t.Errorf("told: %q", got)
			}
		}
		source.set(nil)
		time.Sleep(4 * time.Second)
		q := s.request("token")
		if got := s.answerPings(); !strings.HasPrefix(got, `435[{"token":"t`) {
			t.Errorf("the ack was %s", got)
		}
		// The relay does not take it: that is told, and another one is brought.
		q.ack(`{"ok":false,"error":{"code":"unauthorized","message":"no"}}`)
		if got := l.take(); got != "error token: relay: no (unauthorized)" {
			t.Errorf("told: %q", got)
		}
		time.Sleep(maxTokenBackoff)
		q = s.request("token")
		q.ack(`{"ok":true,"expires":8,"left":[]}`)
		time.Sleep(time.Minute)
		if got := l.take(); got != "renewed 8 []" {
			t.Errorf("told: %q", got)
		}
	})
}

func TestEndsSayWhy(t *testing.T) {
	play(t, Options{Token: "t"}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		s.send(`42["error_event",{"ok":false,"error":{"code":"unauthorized","message":"the token has expired"}}]`)
		s.cut()
		synctest.Wait()
		var e *Error
		if st := c.State(); st.Status != Waiting || !errors.As(st.Err, &e) || e.Code != "unauthorized" {
			t.Errorf("expired: %+v", st)
		}
		s = r.next()
		s.send(`42["error_event",{"ok":false,"error":{"code":"revoked","message":"revoked"}}]`)
		s.send("41")
		synctest.Wait()
		if st := c.State(); st.Status != Closed || !errors.Is(st.Err, ErrEnded) || !errors.As(st.Err, &e) || e.Code != "revoked" {
			t.Errorf("revoked: %+v", st)
		}
	})
}

func TestSetToken(t *testing.T) {
	play(t, Options{Token: "t1"}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		l.take()
		set := func(token string) <-chan error {
			out := make(chan error, 1)
			go func() {
				got, err := c.SetToken(t.Context(), token)
				if err == nil && token != "t4" && (got.Expires != 7 || !slices.Equal(got.Left, []string{"a"})) {
					t.Errorf("renewed %+v", got)
				}
				out <- err
			}()
			return out
		}
		done := set("t2")
		s.request("token").ack(taken)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := l.take(); got != "renewed 7 [a]" {
			t.Errorf("told: %s", got)
		}
		done = set("t3")
		s.request("token").ack(`{"ok":false,"error":{"code":"unauthorized","message":"no","right":"x"}}`)
		var e *Error
		if err := <-done; !errors.As(err, &e) || e.Code != "unauthorized" || e.Right != "x" {
			t.Error(err)
		}
		done = set("t4")
		s.request("token")
		s.cut()
		if err := <-done; err != nil {
			t.Errorf("without a connection: %v", err)
		}
		if _, connect := r.begin(); connect != `40{"token":"t4","compact":true,"objects":true,"places":true}` {
			t.Errorf("CONNECT was %s", connect)
		}
		if err := <-set("\xff"); err == nil {
			t.Error("a token that is no UTF-8 was taken")
		}
	})
}

// A client that waits shows a new token at once.
func TestSetTokenConnects(t *testing.T) {
	play(t, Options{Token: "t1"}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		r.next().cut()
		synctest.Wait()
		before := time.Now()
		if _, err := c.SetToken(t.Context(), "t2"); err != nil {
			t.Error(err)
		}
		if _, connect := r.begin(); connect != `40{"token":"t2","compact":true,"objects":true,"places":true}` || time.Since(before) > 0 {
			t.Errorf("CONNECT was %s, after %v", connect, time.Since(before))
		}
	})
}

// A rejoin that lacks a right asks for what takes none.
func TestRejoinWithFewerRights(t *testing.T) {
	forbidden := func(right string) string {
		return `{"ok":false,"error":{"code":"forbidden","right":"` + right + `","message":"no"}}`
	}
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{History: 5, Presence: true}, 1, 2)
		s.cut()
		s = r.next()
		q := s.request("join")
		if q.arg["since"] != "o2" {
			t.Errorf("%v", q.arg)
		}
		q.ack(forbidden("history"))
		q = s.request("join")
		if q.arg["since"] != nil || q.arg["history"] != nil || q.arg["presence"] != true {
			t.Errorf("%v", q.arg)
		}
		q.ack(forbidden("members"))
		q = s.request("join")
		if q.arg["presence"] != nil {
			t.Errorf("%v", q.arg)
		}
		l.take()
		q.ack(`{"ok":true,"room":"a","offset":"o9","recovered":false,"messages":[],"count":2,"rights":["join","publish"]}`)
		if got := l.take(); got != "reset a rejoin 0; rejoined a false 0 [join publish]" {
			t.Errorf("told: %s", got)
		}
		s.cut()
		s = r.next()
		s.request("join").ack(forbidden("join"))
		if got := l.take(); !strings.Contains(got, `rejoin "a": relay: no (forbidden)`) {
			t.Errorf("told: %s", got)
		}
	})
}

// Without another token nothing is tried for ever.
func TestNoOtherToken(t *testing.T) {
	source := &tokens{}
	play(t, Options{FetchToken: source.fetch}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		l.take()
		source.set(ErrNoToken)
		s.send(`421["token_expires",{"expires":1}]`)
		time.Sleep(10 * time.Second)
		if got := l.take(); got != "error token: client: there is no other token" || c.State().Status != Connected {
			t.Errorf("told: %s; %+v", got, c.State())
		}
		s.cut()
		s = <-r.conns
		s.send(handshake)
		synctest.Wait()
		if st := c.State(); st.Status != Closed || !errors.Is(st.Err, ErrNoToken) {
			t.Errorf("%+v", st)
		}
	})
}
