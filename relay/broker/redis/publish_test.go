package redis_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

// Publishes go over the feed's connection. One that ends with it is brought to an end over another.
func TestPublishesOutliveTheFeedsConnection(t *testing.T) {
	s := ownServer(t)
	b := openRedis(t, withLease(s, time.Hour), testLog(t))
	waitReady(t, b)
	heard := listen(t, b, "a")
	over, killed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(killed)
		for range 10 {
			s.do(t, "CLIENT KILL TYPE pubsub")
			<-time.After(50 * time.Millisecond)
		}
		close(over)
	}()
	n := 0
	for done := false; !done; n++ {
		select {
		case <-over:
			done = true
		default:
		}
		text := strconv.Itoa(n)
		if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: text, Body: text})[0]; r.Err != nil {
			t.Errorf("publish %d: %v", n, r.Err)
		}
	}
	<-killed
	eventually(t, "all delivered once, in order", func() bool {
		_, bodies := heard.heard()
		return strings.Join(bodies[max(0, len(bodies)-3):], " ") == strings.Join([]string{strconv.Itoa(n - 3), strconv.Itoa(n - 2), strconv.Itoa(n - 1)}, " ")
	})
}

// What reads as a PING of rueidis' in a body is none, wherever it stands.
func TestPublishOfAPing(t *testing.T) {
	b := openRedis(t, withLease(ownServer(t), time.Hour), testLog(t))
	waitReady(t, b)
	heard := listen(t, b, "a")
	const ping = "*1\r\n$4\r\nPING\r\n"
	bodies := []string{ping, "x" + ping + ping, "*1\r\n", "*1\r\n$4\r\nPING\r", strings.Repeat("x", 64<<10) + ping, strings.Repeat("*1\r\n", 32<<10)}
	var pubs []broker.Publication
	for i, body := range bodies {
		p := broker.Publication{Room: "a", User: "ann", ID: strconv.Itoa(i), Body: body}
		if r := b.Publish(t.Context(), p)[0]; r.Err != nil {
			t.Fatalf("publish %d: %v", i, r.Err)
		}
		p.ID += " in a batch"
		pubs = append(pubs, p)
	}
	for i, r := range b.Publish(t.Context(), pubs...) {
		if r.Err != nil {
			t.Errorf("publish %d of the batch: %v", i, r.Err)
		}
	}
	want := append(bodies, bodies...)
	eventually(t, "all delivered as they are", func() bool {
		_, got := heard.heard()
		return strings.Join(got, "\n\n") == strings.Join(want, "\n\n")
	})
}
