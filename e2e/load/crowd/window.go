//go:build linux

package crowd

import (
	"context"
	"math"
	"time"

	"setu/e2e/load/hist"
)

// Load is what a crowd publishes, and for how long.
type Load struct {
	Rate     float64 // messages a second, come what may; with UnderWay at most
	UnderWay int     // deliveries that may be, before others are published; 0: any number
	PerAck   bool    // with UnderWay: each publisher waits for the acknowledgement of its last message
	Warm     time.Duration
	For      time.Duration

	// Quiet has the clients look every 2 ms instead of being woken, so that relays need not pay for waking
	// them. It is for the cost of a delivery; latencies mean nothing then.
	Quiet bool

	// Every client that does not publish is cut every so often, and comes back after Away. 0: none is.
	Every, Away time.Duration
}

// Window is what was heard of the messages that were published in it, or, if it counts, in its time.
type Window struct {
	Published, Heard, Acked int
	Bytes, Reads            int
	Lasted                  time.Duration
	Behind                  time.Duration // at most, of a message that was to be published
	Own, Across, Ack        hist.Histogram
	Returned                Returned

	from, to time.Duration
}

func (w *Window) covers(sent time.Duration) bool { return sent >= w.from && sent < w.to }

const glance = 2 * time.Millisecond

// Run puts a load on the relays. When the window begins, and when it ends, it calls mark. It returns when
// all is heard, or nothing more comes.
func (c *Crowd) Run(ctx context.Context, l Load, mark func()) (*Window, error) {
	start := c.now()
	w := &Window{from: start + l.Warm, to: start + l.Warm + l.For}
	c.window = w
	if l.Every > 0 {
		c.returned = &w.Returned
	}
	defer func() { c.window, c.returned, c.perAck = nil, nil, false }()
	c.ready, c.perAck = c.ready[:0], l.PerAck
	if l.PerAck {
		for i := range c.publishers {
			c.ready = append(c.ready, i)
		}
	}
	r := &run{Crowd: c, Load: l, Window: w, start: start, due: start, churn: churn{load: l, start: start, who: c.silent()}}
	if err := r.until(ctx, w.from); err != nil {
		return w, err
	}
	mark()
	before, heard, began := c.count, c.heard, c.now()
	if err := r.until(ctx, w.to); err != nil {
		return w, err
	}
	mark()
	w.Lasted, w.Heard = c.now()-began, c.heard-heard
	w.Published, w.Acked = c.count.published-before.published, c.count.acked-before.acked
	w.Bytes, w.Reads = c.count.bytes-before.bytes, c.count.reads-before.reads
	if err := r.churn.end(ctx, c); err != nil {
		return w, err
	}
	return w, c.Drain(ctx)
}

// run is a load that is being put on the relays.
type run struct {
	*Crowd
	Load
	*Window
	churn churn

	start time.Duration
	due   time.Duration // the next message
	n     int           // messages so far
	look  time.Duration // again, when Quiet
}

// until runs until a time.
func (r *run) until(ctx context.Context, end time.Duration) error {
	for r.now() < end && ctx.Err() == nil {
		if r.Every > 0 {
			r.churn.step(r.Crowd)
		}
		next := min(r.publishDue(), end)
		if err := r.wait(next); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// publishDue publishes what is due, and returns when the next message is.
func (r *run) publishDue() time.Duration {
	if r.UnderWay > 0 {
		return r.feed()
	}
	for now := r.now(); r.due <= now; now = r.now() {
		if r.n > 0 {
			r.Behind = max(r.Behind, now-r.due)
		}
		r.publishNext()
		r.schedule()
	}
	return r.due
}

// schedule says when the next message is due.
func (r *run) schedule() {
	r.n++
	r.due = r.start + time.Duration(float64(r.n)/r.Rate*float64(time.Second))
}

// feed publishes while there are not too many deliveries under way. It returns when to look again, unless something
// comes: at once if there is more to publish.
func (r *run) feed() time.Duration {
	for range 256 {
		switch {
		case r.expected-r.heard >= r.UnderWay || r.PerAck && len(r.ready) == 0:
			return math.MaxInt64
		case r.due > r.now():
			return r.due
		case r.PerAck:
			number := r.ready[0]
			r.ready = r.ready[1:]
			r.publish(number)
		default:
			r.publishNext()
		}
		r.schedule()
	}
	return 0
}

// wait hears what comes until the next message is due, or something has come.
func (r *run) wait(next time.Duration) error {
	const most = 5 * time.Millisecond
	if !r.Quiet {
		return r.poll(min(max(next-r.now(), 0), most))
	}
	if d := min(next, r.look) - r.now(); d > 0 {
		r.rest(d)
	}
	if r.now() < r.look {
		return nil
	}
	err := r.poll(0)
	r.look = r.now() + glance
	return err
}
