//go:build linux

package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"setu/e2e/load/crowd"
	"setu/e2e/load/hist"
)

var processors = float64(runtime.NumCPU())

// atOnce is how many clients are on their way in at a time.
const atOnce = 32

// enter lets all in, and measures nothing.
func enter(t *trial) error {
	t.say("%d clients come", t.clients)
	_, err := t.crowd.Connect(t.ctx, t.clients, atOnce)
	return err
}

// warmUp lets a first tenth in, so that what a process has anyway is not counted.
func (t *trial) warmUp() (n int, err error) {
	t.say("a tenth of the clients come")
	n = t.clients / 10
	if _, err = t.crowd.Connect(t.ctx, n, atOnce); err != nil {
		return n, err
	}
	return n, t.crowd.Idle(t.ctx, t.settle())
}

// settle is how long relays have to become quiet.
func (t *trial) settle() time.Duration { return min(t.o.window/2, 2*time.Second) }

// connects measures a storm of connects: from the handshake to the answer to the join.
func connects(t *trial) error {
	first, err := t.warmUp()
	if err != nil {
		return err
	}
	t.say("%d clients come", t.clients-first)
	m := t.meter()
	m.mark()
	took, err := t.crowd.Connect(t.ctx, t.clients, atOnce)
	m.mark()
	if err != nil {
		return err
	}
	u, _ := m.used()
	n := t.clients - first
	t.addCPU(u, n, time.Microsecond, "connect + join: CPU µs")
	t.add(float64(n)/took.Seconds(), "connects + joins a second")
	return m.err
}

// memory measures what an idle client in a room takes: the slope from the first tenth to all.
func memory(t *trial) error {
	first, err := t.warmUp()
	if err != nil {
		return err
	}
	var before, after [2]int
	if before, err = t.memoryNow(); err != nil {
		return err
	}
	if err := enter(t); err != nil {
		return err
	}
	if err := t.crowd.Idle(t.ctx, t.settle()); err != nil {
		return err
	}
	if after, err = t.memoryNow(); err != nil || !t.known() {
		return err
	}
	n := float64(t.clients-first) * 1024
	t.add(float64(after[0]-before[0])/n, "an idle client: RSS KiB as it stands")
	if t.collected() {
		t.add(float64(after[1]-before[1])/n, "an idle client: RSS KiB after GC")
	}
	return nil
}

// collected reports whether the target collects garbage when asked to.
func (t *trial) collected() bool { return t.collects && t.Target == theRelays && t.o.given == nil }

// memoryNow returns what the relays hold, as it stands and after garbage was collected.
func (t *trial) memoryNow() (n [2]int, err error) {
	if n[0], err = t.fleet.Memory(); err != nil || !t.collected() {
		return n, err
	}
	for range 2 { // what finalizers let go of wants another
		t.fleet.FreeMemory()
		if err := t.crowd.Idle(t.ctx, t.settle()); err != nil {
			return n, err
		}
	}
	n[1], err = t.fleet.Memory()
	return n, err
}

// heartbeats measures what idle clients cost, for whole intervals of pings.
func heartbeats(d time.Duration) step {
	return func(t *trial) error {
		if t.Target == theLimit { // which has none
			return nil
		}
		t.say("idle for %v", d)
		m := t.meter()
		m.mark()
		err := t.crowd.Idle(t.ctx, d)
		m.mark()
		if err != nil {
			return err
		}
		u, lasted := m.used()
		t.addCPU(u, int(float64(t.clients)*lasted.Seconds()), time.Microsecond, "an idle client: CPU µs a second")
		return m.err
	}
}

// load puts a load on the relays for a window, and returns what was heard and used in it.
func (t *trial) load(l crowd.Load, name string) (*crowd.Window, *meter, error) {
	t.say("%s", name)
	l.Warm, l.For = min(2*time.Second, t.o.window/3), t.o.window
	m := t.meter()
	w, err := t.crowd.Run(t.ctx, l, m.mark)
	if err != nil {
		return w, m, err
	}
	return w, m, m.err
}

// fanOut measures the CPU of deliveries at a rate of messages.
func fanOut(rate int) step {
	return func(t *trial) error {
		name := fmt.Sprintf("fan-out, %d/s", rate)
		w, m, err := t.load(crowd.Load{Rate: float64(rate), Quiet: true}, name)
		if err != nil {
			return err
		}
		u, _ := m.used()
		t.addCPU(u, w.Heard, time.Microsecond, name+": CPU s a million deliveries")
		t.add(float64(w.Bytes)/float64(max(w.Heard, 1)), "%s: bytes a delivery", name)
		return nil
	}
}

// latency measures how long messages take at a rate of them.
func latency(rate int) step {
	return func(t *trial) error {
		name := fmt.Sprintf("latency, %d/s", rate)
		w, m, err := t.load(crowd.Load{Rate: float64(rate)}, name)
		if err != nil {
			return err
		}
		m.used()
		t.addLatency(&w.Across, name+": across relays") // as if the bare limit's one process were two
		t.addLatency(&w.Own, name+": on the own relay")
		t.addLatency(&w.Ack, name+": to the ack")
		return nil
	}
}

func (t *trial) addLatency(h *hist.Histogram, name string) {
	if h.N() > 0 {
		t.add(milliseconds(h.Quantile(.5)), "%s, p50 ms", name)
		t.add(milliseconds(h.Quantile(.99)), "%s, p99 ms", name)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// allowed returns how many messages a second all publishers together may publish, by PUBLISH_RATE as it ships: 100/s.
func (t *trial) allowed() float64 { return 90 * float64(t.clients/t.members*t.publishers) }

// saturate measures how many deliveries there are with so many under way.
func saturate(underWay int) step {
	return func(t *trial) error {
		w, m, err := t.load(crowd.Load{Rate: t.allowed(), UnderWay: underWay}, "saturated")
		if err != nil {
			return err
		}
		u, _ := m.used()
		t.add(float64(w.Heard)/w.Lasted.Seconds(), "saturated: deliveries a second")
		t.addCPU(u, w.Heard, time.Microsecond, "saturated: CPU s a million deliveries")
		return nil
	}
}

// acknowledgements measures how many publishes are acknowledged if all publish again at once.
func acknowledgements(underWay int) step {
	return func(t *trial) error {
		w, m, err := t.load(crowd.Load{Rate: t.allowed(), UnderWay: underWay, PerAck: true}, "acknowledgements")
		if err != nil {
			return err
		}
		u, _ := m.used()
		t.add(float64(w.Acked)/w.Lasted.Seconds(), "publish to ack: a second")
		t.addCPU(u, w.Acked, time.Microsecond, "publish to ack: CPU µs")
		return nil
	}
}

// comeBack cuts all that don't publish at once, publishes in each room, and lets them come back at once.
func comeBack(t *trial) error {
	if err := t.crowd.Idle(t.ctx, t.settle()); err != nil {
		return err
	}
	whole, back := t.meter(), t.meter()
	whole.mark()
	n := t.crowd.Cut()
	if err := t.crowd.PublishAll(t.ctx); err != nil {
		return err
	}
	if err := t.crowd.Idle(t.ctx, t.settle()); err != nil {
		return err
	}
	t.say("%d clients come back", n)
	back.mark()
	r, took, err := t.crowd.Return(t.ctx)
	if err != nil {
		return err
	}
	back.mark()
	if err := t.crowd.Drain(t.ctx); err != nil {
		return err
	}
	if err := t.crowd.Idle(t.ctx, t.settle()); err != nil { // what is left to do for them
		return err
	}
	whole.mark()
	u, _ := back.used()
	t.addCPU(u, n, time.Microsecond, "return: CPU µs")
	u, _ = whole.used()
	t.addCPU(u, n, time.Microsecond, "cut and return, and all that follows: CPU µs")
	t.add(float64(r.Recovered)/float64(n)*100, "return: %% recovered")
	t.add(took.Seconds(), "return: s until all are back")
	t.add(milliseconds(r.Took.Quantile(.99)), "return: p99 ms of one")
	return errors.Join(whole.err, back.err)
}

// jitters cuts clients every so often while messages go to all of them.
func jitters(rate float64, d, every, away time.Duration) step {
	return func(t *trial) error {
		t.say("jitter, for %v", d)
		m := t.meter()
		w, err := t.crowd.Run(t.ctx, crowd.Load{Rate: rate, For: d, Every: every, Away: away}, m.mark)
		if err != nil {
			return err
		}
		u, _ := m.used()
		n := w.Returned.Recovered + w.Returned.Anew
		t.add(float64(n), "jitter: returns")
		t.add(float64(w.Returned.Recovered)/float64(max(n, 1))*100, "jitter: %% recovered")
		all := w.Across
		all.Merge(&w.Own)
		t.addLatency(&all, "jitter: to a member, away or not")
		t.addCPU(u, n, time.Microsecond, "jitter: CPU µs a return, all counted")
		return m.err
	}
}

// comeIn lets all in, and measures what that costs, and what all hold then.
func comeIn(t *trial) error {
	m := t.meter()
	m.mark()
	if err := enter(t); err != nil {
		return err
	}
	m.mark()
	u, _ := m.used()
	t.addCPU(u, t.clients, time.Microsecond, "all in: CPU µs a client")
	if err := t.crowd.Idle(t.ctx, t.settle()); err != nil {
		return err
	}
	return errors.Join(m.err, t.holds("all in"))
}

// collected measures what all hold once garbage was collected.
func collected(t *trial) error {
	if !t.collected() {
		return nil
	}
	if _, err := t.memoryNow(); err != nil {
		return err
	}
	return t.holds("all in, after GC")
}

// holds puts down what the processes hold.
func (t *trial) holds(when string) error {
	if !t.known() {
		return nil
	}
	relays, err := t.fleet.Memory()
	if err != nil {
		return err
	}
	redis, err := t.fleet.RedisMemory()
	t.add(float64(relays)/(1<<20), "%s: relays MiB", when)
	if t.fleet.Redis != 0 {
		t.add(float64(redis)/(1<<20), "%s: Redis MiB", when)
	}
	return err
}
