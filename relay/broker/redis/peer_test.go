package redis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
)

// During a deploy relays of two versions share a fleet. Those of before announce themselves in a
// key of their own, as today's do; in the list of those that take new clients they are not.
func TestRedisPeersOfBefore(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	s := ownServer(t)
	cfg := config(s)
	cfg.Self = newSelf()
	b := open(t, cfg)
	before := broker.Peer{Node: "before", URL: "http://before:8080", Machine: "m0"}
	s.do(t, "SET setu{0}:peer:before", `{"url":"http://before:8080","machine":"m0"}`)
	if got, err := b.Peer(t.Context(), "before"); got != before || err != nil {
		t.Errorf("a relay of before: %+v, %v", got, err)
	}
	if got, err := b.Others(t.Context()); len(got) > 0 || err != nil {
		t.Errorf("others: %+v, %v", got, err)
	}
	readable := func() {
		t.Helper()
		var read struct{ URL, Machine string } // by a relay of before
		eventually(t, "readable by a relay of before", func() bool {
			err := json.Unmarshal([]byte(s.do(t, "GET setu{0}:peer:"+cfg.Self.Node)), &read)
			return err == nil && read.URL == cfg.Self.URL && read.Machine == cfg.Self.Machine
		})
	}
	readable()
	b.Drain()
	eventually(t, "in no list", func() bool { return s.do(t, "ZCARD setu{0}:relays") == "0" })
	readable()
}

// Whoever has waited for a relay to be announced finds it over the others; without a Redis nobody waits for long.
func TestRedisIsAnnounced(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	s := ownServer(t)
	other := open(t, config(s))
	for range 5 {
		cfg := config(s)
		cfg.Self = newSelf()
		openRedis(t, cfg, testLog(t)).Announced(t.Context())
		if got, err := other.Peer(t.Context(), cfg.Self.Node); err != nil || got.URL != cfg.Self.URL {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	cfg := config(s)
	s.kill()
	began := time.Now()
	b := openRedis(t, cfg, testLog(t))
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	b.Announced(soon)
	if soon.Err() == nil {
		t.Error("announced without a Redis")
	}
	b.Announced(t.Context())
	b.Announced(t.Context())
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
}

// scribe is a connection to Redis that keeps what is written to it.
type scribe struct {
	net.Conn
	mu    sync.Mutex
	wrote []byte // guarded by mu
}

// Write implements net.Conn.
func (c *scribe) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.wrote = append(c.wrote, p...)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *scribe) index(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Index(c.wrote, []byte(text))
}

// The first health check goes out behind the subscription by which it comes back, whatever else is asked as a relay
// starts: until one has come back, the relay is not ready, nor announced.
func TestRedisFirstProbeReturns(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	s := ownServer(t)
	for range 60 {
		var mu sync.Mutex
		var all []*scribe
		cfg := config(s)
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, &scribe{Conn: c})
			return all[len(all)-1], nil
		}
		b := openRedis(t, cfg, testLog(t))
		waitReady(t, b)
		subscribed := 0
		mu.Lock()
		for _, c := range all {
			if at := c.index("SUBSCRIBE"); at >= 0 {
				subscribed++
				if probe := c.index("setu{0}:probe"); probe < at {
					t.Errorf("a health check at %d, the subscription at %d", probe, at)
				}
			}
		}
		mu.Unlock()
		if subscribed != 1 {
			t.Fatalf("%d connections subscribe", subscribed)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// What a relay of later adds to an announcement is passed over, and what none has written, too.
func TestRedisOthersOfLater(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	s := ownServer(t)
	b := open(t, config(s))
	later := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
	for _, entry := range []string{`later {"url":"http://later:80","zone":["a"]}`, "nonsense", "later2 [", ""} {
		s.do(t, "ZADD setu{0}:relays", later, entry)
	}
	s.do(t, "ZADD setu{0}:relays", fmt.Sprint(time.Now().UnixMilli()-1), `dead {"url":"http://dead:80"}`)
	got, err := b.Others(t.Context())
	if err != nil || len(got) != 1 || got[0] != (broker.Peer{Node: "later", URL: "http://later:80"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// However many clients come while a relay drains, Redis is asked for the others once, until they
// change.
func TestRedisOthersCached(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	s := ownServer(t)
	cfg := config(s)
	b := open(t, cfg)
	s.do(t, "CONFIG RESETSTAT")
	began := time.Now()
	for range 100 {
		if _, err := b.Others(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.calls(t, "zrangebyscore"); n > besides(began) { // the lease and the announcement look there, too
		t.Errorf("%d reads for 100 questions", n)
	}
	cfg.Self = newSelf()
	other := open(t, cfg)
	eventually(t, "another is known", func() bool {
		got, err := b.Others(t.Context())
		return err == nil && len(got) == 1 && got[0] == cfg.Self
	})
	other.Kill()
	if _, err := other.Others(t.Context()); !errors.Is(err, broker.ErrClosed) {
		t.Error("after its end: ", err)
	}
}
