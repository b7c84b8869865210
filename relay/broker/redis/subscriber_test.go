package redis_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

// A Redis that can't persist refuses even PING: rooms are joined and left all the same.
func TestRedisCannotPersist(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	publish(t, b, "a", "1")
	if err := os.Mkdir(s.dump(), 0o700); err != nil {
		t.Fatal(err)
	}
	s.do(t, "CONFIG SET save", "3600 1")
	s.do(t, "BGSAVE")
	eventually(t, "noticed", func() bool { return b.Ready() != nil })
	for i := range 20 {
		room := fmt.Sprint("room ", i%3)
		c := &counter{}
		stop, err := b.Subscribe(t.Context(), room, c, 0)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		stop()
	}
	if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "u", ID: "2"})[0]; r.Err == nil {
		t.Error("it was to refuse: ", r)
	}
	if err := os.Remove(s.dump()); err != nil {
		t.Fatal(err)
	}
	s.do(t, "BGSAVE")
	waitReady(t, b)
	c := &counter{}
	stop, err := b.Subscribe(t.Context(), "a", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publish(t, b, "a", "3")
	eventually(t, "delivered", func() bool { return c.n.Load() == 1 })
}

// A Redis that is busy with a script refuses to end a subscription, and the check behind it. That ends the
// feed's connection, and nothing else.
func TestRedisIsBusyWhileARoomIsLeft(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--lua-time-limit", "20")
	b := openRedis(t, withLease(s, time.Hour), testLog(t))
	waitReady(t, b)
	stop, err := b.Subscribe(t.Context(), "a", &counter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan string)
	go func() {
		over <- s.do(t, "EVAL", "local now = redis.call('TIME')[1]; while redis.call('TIME')[1] - now < 3 do end; return 'over'", "0")
	}()
	isBusy := func() bool {
		err := s.ping()
		return err != nil && strings.Contains(err.Error(), "-BUSY")
	}
	eventually(t, "busy", isBusy)
	stop()
	<-time.After(200 * time.Millisecond) // in which the subscription was to end
	if !isBusy() {
		t.Fatal("the script was over too soon to refuse anything")
	}
	if got := <-over; got != "over" {
		t.Fatal(got)
	}
	c := &counter{}
	eventually(t, "subscribed again", func() bool {
		stop, err = b.Subscribe(t.Context(), "a", c, 0)
		return err == nil
	})
	defer stop()
	waitReady(t, b)
	publish(t, b, "a", "1")
	eventually(t, "delivered", func() bool { return c.n.Load() == 1 })
}
