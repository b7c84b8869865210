//go:build linux

package crowd

import (
	"context"
	"time"

	"setu/e2e/load/hist"
)

// Returned is how clients came back that had been cut.
type Returned struct {
	Recovered int // with their sessions
	Anew      int // without
	Took      hist.Histogram
}

func (r *Returned) add(recovered bool) {
	if recovered {
		r.Recovered++
		return
	}
	r.Anew++
}

// silent returns the clients that do not publish.
func (c *Crowd) silent() (out []*Client) {
	for _, k := range c.clients {
		if !c.publishes(k) {
			out = append(out, k)
		}
	}
	return out
}

// Cut cuts the connections of all that do not publish, at once, and returns how many those are.
func (c *Crowd) Cut() int {
	n := 0
	for _, k := range c.silent() {
		if k.state == joined {
			c.cut(k)
			n++
		}
	}
	return n
}

// PublishAll has each room's first publisher publish one message, and waits until they are acknowledged.
func (c *Crowd) PublishAll(ctx context.Context) error {
	want, deadline := c.count.acked+c.rooms, c.now()+patience
	for room := range c.rooms {
		c.publish(room * c.o.Publishers)
	}
	for c.count.acked < want && c.now() < deadline && ctx.Err() == nil {
		if err := c.poll(5 * time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Return lets all come back at once that were cut, every other one over another relay than before, and returns
// how they did and how long it took until the last was there.
func (c *Crowd) Return(ctx context.Context) (*Returned, time.Duration, error) {
	var who []*Client
	for _, k := range c.silent() {
		if k.state == away {
			c.move(k, len(who))
			who = append(who, k)
		}
	}
	r := &Returned{}
	c.returned = r
	defer func() { c.returned = nil }()
	took, err := c.enter(ctx, who, len(who))
	return r, took, err
}

// move has every other client come back over the next relay.
func (c *Crowd) move(k *Client, n int) {
	if n%2 == 0 {
		k.relay = (k.relay + 1) % len(c.o.Relays)
	}
}

// churn cuts clients in turn, and lets them come back.
type churn struct {
	load  Load
	start time.Duration
	who   []*Client
	cuts  int // so far
	backs int
}

// step cuts and brings back whose time has come: each is cut once in every period, evenly spread.
func (h *churn) step(c *Crowd) {
	since := c.now() - h.start
	turn := func(d time.Duration) int { return int(float64(d) / float64(h.load.Every) * float64(len(h.who))) }
	for h.cuts < turn(since) {
		c.cut(h.who[h.cuts%len(h.who)])
		h.cuts++
	}
	h.bringBack(c, min(turn(max(since-h.load.Away, 0)), h.cuts))
	c.retry()
}

func (h *churn) bringBack(c *Crowd, to int) {
	for ; h.backs < to; h.backs++ {
		if k := h.who[h.backs%len(h.who)]; k.state == away {
			c.move(k, h.backs)
			c.dial(k)
		}
	}
}

// end lets all come back that were cut.
func (h *churn) end(ctx context.Context, c *Crowd) error {
	h.bringBack(c, h.cuts)
	for deadline := c.now() + patience; c.in < len(c.clients) && c.now() < deadline && ctx.Err() == nil; {
		c.retry()
		if err := c.poll(5 * time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}
