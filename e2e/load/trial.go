//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"setu/e2e/load/crowd"
	"setu/e2e/load/fleet"
	"setu/e2e/load/tally"
)

// figure is one number that a plan has found.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// result is what a plan has found.
type result struct {
	Target  string       `json:"target"`
	Plan    string       `json:"plan"`
	Rep     int          `json:"rep"`
	Figures []figure     `json:"figures"`
	Faults  tally.Faults `json:"faults"`
	Why     string       `json:"why,omitempty"`
	Others  float64      `json:"others"` // at most: the share of the machine that other processes took while something was measured
}

// trial is a plan that runs against a target.
type trial struct {
	ctx context.Context
	o   *options
	plan
	*result
	fleet *fleet.Fleet
	crowd *crowd.Crowd
}

// try runs a plan against a target.
func (o *options) try(ctx context.Context, t target, p plan) (result, error) {
	r := result{Target: t.name, Plan: p.name}
	if err := raiseFiles(p.clients); err != nil {
		return r, err
	}
	o.progress.say("%s, %s: %d clients", t.name, p.name, p.clients)
	f, err := t.start(ctx)
	if err != nil {
		return r, err
	}
	defer t.stop(f)
	c, err := crowd.New(crowd.Options{Relays: f.Addresses, Clients: p.clients, Members: p.members, Rooms: p.rooms,
		Publishers: p.publishers, Payload: cmp.Or(p.payload, o.payload)})
	if err != nil {
		return r, err
	}
	defer c.Close()
	err = (&trial{ctx: ctx, o: o, plan: p, result: &r, fleet: f, crowd: c}).run()
	return r, err
}

func (t *trial) run() error {
	for _, s := range t.steps {
		if err := s(t); err != nil {
			if ended := t.fleet.Alive(); ended != nil {
				return ended
			}
			return err
		}
		f := t.crowd.Audit()
		t.Faults.Add(f)
		if f.Any() && t.Why == "" {
			t.Why = t.crowd.Why()
		}
	}
	return t.fleet.Alive()
}

// add puts a figure down.
func (t *trial) add(value float64, format string, args ...any) {
	t.Figures = append(t.Figures, figure{fmt.Sprintf(format, args...), value})
}

func (t *trial) say(format string, args ...any) {
	t.o.progress.say("%s, %s: %s", t.Target, t.Plan, fmt.Sprintf(format, args...))
}

// meter measures what is used between two marks.
type meter struct {
	t     *trial
	marks []fleet.Usage
	err   error
}

func (t *trial) meter() *meter { return &meter{t: t} }

func (m *meter) mark() {
	u, err := m.t.fleet.Usage()
	if err != nil {
		m.err = err
	}
	m.marks = append(m.marks, u)
}

// used returns what was, and for how long.
func (m *meter) used() (u fleet.Usage, d time.Duration) {
	first, last := m.marks[0], m.marks[len(m.marks)-1]
	u, d = last.Since(first), last.At.Sub(first.At)
	m.t.Others = max(m.t.Others, u.Others.Seconds()/d.Seconds()/processors)
	return u, d
}

// known reports whether the relays' processes can be measured.
func (t *trial) known() bool { return len(t.fleet.PIDs) > 0 }

// addCPU puts down what was used for each of n things.
func (t *trial) addCPU(u fleet.Usage, n int, unit time.Duration, what string) {
	if t.known() && n > 0 {
		t.add(float64(u.Relays)/float64(n)/float64(unit), "%s", what)
	}
	if t.fleet.Redis != 0 && n > 0 {
		t.add(float64(u.Redis)/float64(n)/float64(unit), "%s: Redis", what)
	}
}
