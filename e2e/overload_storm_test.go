package e2e_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"setu/e2e/nemesis"
	"setu/e2e/swarm"
)

const (
	stormRoom     = 50               // clients of each room
	stormMost     = 20 * time.Second // p95 of what a client waits beyond its own pause: the goal is 2 s, and told
	stormAttempts = 8                // after which a client has not come back
	unending      = math.MaxUint64   // more messages than anybody sends
)

// comer is a client that comes back with its session, as stock clients do.
type comer struct {
	name, room string
	last       uint64 // the newest message that it has
	took       time.Duration
	back       time.Time
	recovered  bool
	failed     int // attempts
	fault      error
}

// All clients of a killed relay come to the other at once, while people talk. SETU_E2E_STORM says how
// many: 5000 is the goal.
func TestStormOfSessions(t *testing.T) {
	n := number("SETU_E2E_STORM", 500)
	l := startLoaded(t)
	dublin, tokyo := l.relay("dublin"), l.relay("tokyo")
	l.inTime(patience+time.Duration(n)*20*time.Millisecond, dublin, tokyo)

	var rooms []string
	for i := range (n + stormRoom - 1) / stormRoom {
		rooms = append(rooms, fmt.Sprint("room-", i))
	}
	talker := &speaker{Client: l.dial(tokyo, "talker", rooms[0], swarm.Options{}), l: l}
	for _, room := range rooms[1:] {
		if err := talker.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	comers := make([]*comer, n)
	var here, back, done sync.WaitGroup
	doors := make(chan struct{}, 64) // they come in good order at first
	for i := range comers {
		m := &comer{name: fmt.Sprint("comer-", i), room: rooms[i%len(rooms)]}
		comers[i] = m
		here.Add(1)
		back.Add(1)
		done.Go(func() {
			arrived, returned := sync.OnceFunc(here.Done), sync.OnceFunc(back.Done)
			defer returned()
			defer arrived()
			doors <- struct{}{}
			c, err := swarm.Dial(dublin.Address(), authOf(m.name), swarm.Options{})
			if err == nil {
				err = c.Join(m.room)
			}
			<-doors
			if m.fault = err; err != nil {
				return
			}
			arrived()
			m.listen(c, unending)
			if c = m.comeBack(c, tokyo); c != nil {
				returned()
				m.listen(c, 5)
				c.Close()
			}
		})
	}
	here.Wait()
	for _, room := range rooms {
		talker.said(room, `"before"`)
	}
	killed := time.Now()
	dublin.Kill()
	for _, word := range []string{`"one"`, `"two"`, `"three"`} {
		for _, room := range rooms {
			talker.said(room, word)
		}
	}
	back.Wait()
	for _, room := range rooms {
		talker.said(room, `"the end"`)
	}
	done.Wait()
	judgeStorm(t, comers, killed)
	l.staysSmall(tokyo)
}

// listen follows a room until it has a message, or the connection ends.
func (m *comer) listen(c *swarm.Client, upTo uint64) {
	for m.last < upTo {
		packet, err := c.Next()
		if err != nil {
			if upTo != unending {
				m.fault = errors.Join(m.fault, fmt.Errorf("at %d of %d: %w", m.last, upTo, err))
			}
			return
		}
		if swarm.IsMessage(packet) {
			m.hear(swarm.Seq(packet))
		}
	}
}

func (m *comer) hear(seq uint64) {
	if seq != m.last+1 && m.fault == nil {
		m.fault = fmt.Errorf("heard %d after %d", seq, m.last)
	}
	m.last = seq
}

// comeBack connects again and again, with the pauses of the stock clients: 1 s at first, doubled up to
// 5 s, each half more or less.
func (m *comer) comeBack(was *swarm.Client, to *nemesis.Relay) *swarm.Client {
	gone, paused := time.Now(), time.Duration(0)
	was.Close()
	auth := authOf(m.name)
	auth.PID, auth.Offset = was.PID, was.Offset
	var errs error
	for m.failed < stormAttempts {
		pause := min(time.Second<<m.failed, 5*time.Second)
		pause += time.Duration((rand.Float64() - 0.5) * float64(pause))
		<-time.After(pause)
		paused += pause
		c, err := swarm.Dial(to.Address(), auth, swarm.Options{})
		if err != nil {
			m.failed++
			errs = errors.Join(errs, err)
			continue
		}
		m.back = time.Now()
		m.took = m.back.Sub(gone) - paused
		m.recovered = c.Session == was.Session
		for _, missed := range c.Replayed {
			m.hear(missed.Seq)
		}
		return c
	}
	m.fault = errors.Join(m.fault, errs)
	return nil
}

func judgeStorm(t *testing.T, comers []*comer, killed time.Time) {
	t.Helper()
	var took []time.Duration
	var last time.Time
	recovered, failed, faults := 0, 0, 0
	for _, m := range comers {
		failed += m.failed
		if m.fault != nil {
			if faults++; faults <= 5 {
				t.Errorf("%s: %v", m.name, m.fault)
			}
			continue
		}
		took = append(took, m.took)
		if m.back.After(last) {
			last = m.back
		}
		if m.recovered {
			recovered++
		}
	}
	p95, words := quantiles(took)
	t.Logf("%d clients: the last was back %v after the kill; beyond their own pauses %s; %d recovered, %d attempts failed, %d never came",
		len(comers), last.Sub(killed).Round(time.Millisecond), words, recovered, failed, len(comers)-len(took))
	if recovered < len(took) || faults > 0 {
		t.Errorf("%d of %d recovered their sessions; %d missed something", recovered, len(comers), faults)
	}
	if p95 > stormMost {
		t.Errorf("p95 is %v", p95)
	}
}
