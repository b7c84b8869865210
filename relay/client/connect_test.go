package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	for url, o := range map[string]*Options{
		"":                         nil,
		"relay.test":               nil,
		"ftp://relay.test":         nil,
		"https://":                 nil,
		"https://relay.test/chat":  nil,
		"https://relay.test?x=1":   nil,
		"https://me:pw@relay.test": nil,
		"https://relay test":       nil,
		"https://relay.test#":      nil,
		"http://short.key":         {Key: "short"},
		"http://long.key":          {Key: strings.Repeat("k", 65)},
		"http://no.slash":          {Path: "socket.io/"},
		"http://a.query":           {Path: "/socket.io/?a=b"},
		"http://a.name":            {Name: "\xff"},
		"http://a.key":             {Key: "0123456789abcdef\xff"},
		"http://a.token":           {Token: "\xed\xa0\xbd"},
	} {
		if c, err := Open(url, o); err == nil {
			c.Close()
			t.Errorf("%q was taken", url)
		}
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"http://localhost:8080":  "ws://localhost:8080/socket.io/?EIO=4&transport=websocket",
		"https://relay.test/":    "wss://relay.test/socket.io/?EIO=4&transport=websocket",
		"WSS://relay.test":       "wss://relay.test/socket.io/?EIO=4&transport=websocket",
		"ws://[::1]:80":          "ws://[::1]:80/socket.io/?EIO=4&transport=websocket",
		"https://xn--nxasmq6b.x": "wss://xn--nxasmq6b.x/socket.io/?EIO=4&transport=websocket",
	} {
		if got, err := address(in, "/socket.io/", ""); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestConnect(t *testing.T) {
	play(t, Options{Name: "Asha", Key: "0123456789abcdef"}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := <-r.conns
		s.send(handshake)
		if got, want := s.read(), `40{"name":"Asha","key":"0123456789abcdef","compact":true,"objects":true,"places":true}`; got != want {
			t.Fatalf("CONNECT was %s, want %s", got, want)
		}
		if got := c.State().Status; got != Connecting {
			t.Errorf("before the answer: %v", got)
		}
		s.send(`40{"sid":"s1"}`)
		s.send(`42["welcome",{"relay":"r1","region":"fra","user":{"id":"u1","name":"Asha","guest":true},"epoch":"e","limits":{"page":9}},"o1"]`)
		ping := s.request("ping")
		time.Sleep(30 * time.Millisecond)
		ping.ack(`{"ok":true,"at":1}`)
		synctest.Wait()
		want := State{Status: Connected, Relay: "r1", Region: "fra", User: User{ID: "u1", Name: "Asha", Guest: true}, RTT: 30 * time.Millisecond}
		if got := c.State(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := l.take(); got != "welcome r1" {
			t.Errorf("told: %s", got)
		}
	})
}

// The first probe of a connection waits behind all that comes with it, and is soon put right.
func TestRoundTrip(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		begun := time.Now()
		for i, step := range []struct{ takes, want, after time.Duration }{ // ms, the last one after the beginning
			{900, 900, 0}, {40, 40, 1900}, {50, 50, 2940}, {60, 50, 3990}, {1, 50, 18990}, {2, 40, 33990},
		} {
			ping := s.request("ping")
			if got := time.Since(begun).Milliseconds(); got != int64(step.after) {
				t.Errorf("probe %d after %d ms, want %d", i, got, step.after)
			}
			time.Sleep(step.takes * time.Millisecond)
			ping.ack(`{"ok":true,"at":1}`)
			synctest.Wait()
			if got := c.State().RTT; got != step.want*time.Millisecond {
				t.Errorf("after probe %d: %v, want %d ms", i, got, step.want)
			}
			s.send("2") // the relay lives
		}
		s.cut()
		next := r.next()
		next.request("ping").ack(`{"ok":true,"at":1}`)
		synctest.Wait()
		if got := c.State().RTT; got != 0 {
			t.Errorf("on another connection: %v", got)
		}
	})
}

func TestNamelessGuest(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := <-r.conns
		s.send(handshake)
		if got := s.read(); got != `40{"compact":true,"objects":true,"places":true}` {
			t.Errorf("CONNECT was %q", got)
		}
	})
}

func TestConnectErrorIsFinal(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := <-r.conns
		s.send(handshake)
		s.read()
		s.send(`44{"message":"bad token","data":{"code":"forbidden"}}`)
		err := c.waitConnected(t.Context())
		var refused *ConnectError
		if !errors.As(err, &refused) || !errors.Is(err, ErrClosed) || refused.Code != "forbidden" {
			t.Fatalf("Dial gave %v", err)
		}
		if s := c.State(); s.Status != Closed || !errors.As(s.Err, &refused) {
			t.Errorf("%+v", s)
		}
		if _, err := c.Join(t.Context(), "a", JoinOptions{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Join after it: %v", err)
		}
		if len(l.lines) == 0 || l.lines[len(l.lines)-1] != "state closed" {
			t.Errorf("told: %q", l.lines)
		}
	})
}

func TestDisconnectIsFinal(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		s.event("message", message("a", 1))
		s.send("41")
		synctest.Wait()
		if s := c.State(); s.Status != Closed || s.Err != ErrEnded {
			t.Errorf("%+v", s)
		}
		if got := l.take(); got != "message a 1" {
			t.Errorf("what came before the end: %s", got)
		}
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := <-r.conns
		r.refuseWith(errGone)
		s.cut()
		err := c.waitConnected(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errGone) {
			t.Errorf("%v", err)
		}
		if c.State().Status != Closed {
			t.Error("the client is still open")
		}
	})
}

func TestBackoff(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := <-r.conns
		r.refuseWith(errGone)
		s.cut()
		time.Sleep(time.Minute)
		dials := r.dialed()
		var waits []time.Duration
		for i := range dials[1:] {
			waits = append(waits, dials[i+1].Sub(dials[i]))
		}
		for i, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 10_000, 10_000} {
			if got := waits[i]; got != want*time.Millisecond {
				t.Errorf("wait %d was %v, want %v ms", i, got, want)
			}
		}
		if s := c.State(); s.Status != Waiting || s.Err != errGone || s.Attempt < 7 || !s.RetryAt.After(time.Now()) {
			t.Errorf("%+v", s)
		}
	})
}

// A client backs off from a relay that accepts it and closes at once, and comes back soon to one
// that served it for a while.
func TestBackoffAfterAConnection(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		for i, want := range []time.Duration{500, 1000, 2000, 4000} {
			s := r.next()
			synctest.Wait()
			s.cut()
			synctest.Wait()
			if got := time.Until(c.State().RetryAt); got != want*time.Millisecond {
				t.Errorf("after close %d: %v, want %v ms", i, got, want)
			}
		}
		s := r.next()
		time.Sleep(stableAfter)
		s.send("1")
		synctest.Wait()
		if got := time.Until(c.State().RetryAt); got != 500*time.Millisecond {
			t.Errorf("after a stable connection: %v", got)
		}
	})
}

func TestJitterStaysInBounds(t *testing.T) {
	c, err := newClient("http://relay.test", (*Options)(nil).withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := c.jitter(time.Second)
		low, high = min(low, d), max(high, d)
	}
	if low < 0 || high > time.Second || low > 100*time.Millisecond || high < 900*time.Millisecond {
		t.Errorf("from %v to %v", low, high)
	}
}

func TestHeartbeatLoss(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		go s.answerPings()
		time.Sleep(44 * time.Second)
		if got := c.State().Status; got != Connected {
			t.Fatalf("after 44 s: %v", got)
		}
		time.Sleep(1001 * time.Millisecond)
		if s := c.State(); s.Status != Waiting || s.Err != errHeartbeat {
			t.Fatalf("after 45 s: %+v", s)
		}
		r.next()
	})
}

func TestHeartbeat(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		pongs := make(chan string, 1)
		go func() { pongs <- s.answerPings() }()
		for range 20 {
			time.Sleep(25 * time.Second)
			s.send("2")
			if got := <-pongs; got != "3" {
				t.Fatalf("answered with %q", got)
			}
			go func() { pongs <- s.answerPings() }()
		}
		if got := c.State(); got.Status != Connected || len(r.dialed()) != 1 {
			t.Errorf("%+v after %d dials", got, len(r.dialed()))
		}
	})
}

func TestRetryNow(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		s.cut()
		synctest.Wait()
		before := time.Now()
		c.Retry()
		r.next()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("connected after %v", waited)
		}
	})
}

func TestRetryLooksForALifeSign(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := r.next()
		s.request("ping").ack(`{"ok":true}`)
		synctest.Wait()
		c.Retry()
		s.request("ping").ack(`{"ok":true}`)
		time.Sleep(checkTimeout + time.Millisecond)
		if got := c.State().Status; got != Connected {
			t.Fatalf("though the relay lives: %v", got)
		}
		c.Retry()
		time.Sleep(checkTimeout + time.Millisecond)
		if s := c.State(); s.Status != Waiting || s.Err != errNoResponse {
			t.Errorf("%+v", s)
		}
	})
}

func TestConnectTimeout(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := <-r.conns // and sends nothing
		time.Sleep(connectTimeout + time.Millisecond)
		if got := c.State(); got.Err != errConnectTimeout {
			t.Errorf("%+v", got)
		}
		<-s.gone
	})
}

func TestWhatTheRelayMustNotSay(t *testing.T) {
	for name, text := range map[string]string{
		"no packet":            "",
		"no type":              "9",
		"no packet type":       "47",
		"broken JSON":          `42["message",{"room":`,
		"a message of numbers": `42["message",{"room":1}]`,
		"no offset":            `42["message",{"room":"a","seq":1}]`,
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
				s := r.next()
				join(t, c, s, "a", JoinOptions{})
				s.send(text)
				again := r.next()
				if got := l.take(); !strings.HasPrefix(got, "error ") {
					t.Errorf("told: %s", got)
				}
				if got := again.request("join").arg["since"]; got != "o0" {
					t.Errorf("rejoined since %v", got)
				}
			})
		})
	}
}

// What a client doesn't know comes from a newer relay, and is no error.
func TestUnknownIsIgnored(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		for _, text := range []string{"6", "3", `42["later",{}]`, `42["message"]`, `42/other,["message",{}]`, `43999[{}]`, `40{"sid":"again"}`} {
			s.send(text)
		}
		s.quiet()
		if got := l.take(); got != "" || c.State().Status != Connected {
			t.Errorf("told: %s", got)
		}
	})
}

func TestCloseSaysGoodbye(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		s.request("ping")
		ctx := t.Context()
		waiting := publish(ctx, c, "a", 1, "")
		s.request("publish")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if got := s.read(); got != "41" {
			t.Errorf("goodbye was %q", got)
		}
		<-s.gone
		if got := <-waiting; !errors.Is(got.err, ErrClosed) {
			t.Errorf("the publish ended with %v", got.err)
		}
		if got := c.State().Status; got != Closed {
			t.Errorf("%v", got)
		}
		for name, err := range map[string]error{
			"Signal": c.Signal("a", 1), "Leave": c.Leave(ctx, "a"), "Close": c.Close(),
		} {
			if want := ErrClosed; name == "Close" && err != nil || name != "Close" && !errors.Is(err, want) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		if last := l.lines[len(l.lines)-1]; last != "state closed" {
			t.Errorf("the last thing told was %q", last)
		}
	})
}

func TestCloseWhileConnecting(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		go func() { <-r.conns }()
		synctest.Wait()
	})
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, _ *log) {
		s := <-r.conns
		r.refuseWith(errGone)
		s.cut()
		synctest.Wait() // the call waits
	})
}

// Rooms in which the client may not be any more are told, and not joined again, with what was to be
// published there.
func TestWelcomeSaysWhichRoomsAreLeft(t *testing.T) {
	play(t, Options{}, func(t *testing.T, r *fakeRelay, c *Client, l *log) {
		s := r.next()
		join(t, c, s, "a", JoinOptions{})
		join(t, c, s, "b", JoinOptions{})
		l.take()
		s.cut()
		s, _ = r.begin()
		written := publish(t.Context(), c, "a", 1, "x")
		s.send(`40{"sid":"s2"}`)
		s.quiet() // it is not known yet where it may be
		s.event("welcome", map[string]any{"relay": "r2", "left": []string{"a", "never joined"}})
		q := s.request("join")
		if q.arg["room"] != "b" {
			t.Errorf("rejoins %v", q.arg)
		}
		q.ack(joinAck("b", true, "o0"))
		s.request("publish").ack(`{"ok":false,"error":{"code":"not_joined","message":"no"}}`)
		var e *Error
		if got := <-written; !errors.As(got.err, &e) || e.Code != "not_joined" {
			t.Errorf("published in a: %v", got.err)
		}
		s.event("message", message("a", 1))
		if got := l.take(); got != "welcome r2 left [a never joined]; rejoined b true 0" {
			t.Errorf("told: %s", got)
		}
		s.quiet()

		// Its owner may ask again, which is kept as any other room is.
		join(t, c, s, "a", JoinOptions{})
		s.cut()
		s = r.next()
		for _, want := range []string{"b", "a"} {
			if q := s.request("join"); q.arg["room"] != want {
				t.Errorf("rejoins %v, want %s", q.arg, want)
			}
		}
	})
}
