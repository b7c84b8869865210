package redis_test

import (
	"fmt"
	"os"
	"testing"

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
