//go:build linux

package main

import (
	"time"
)

// plan is clients in rooms, and what is done with them, step by step.
type plan struct {
	name, about string
	clients     int
	members     int // of a room
	rooms       int // 0: each client is in one
	relays      int // 0: as many as the options say
	publishers  int // of a room
	payload     int // bytes; 0: as many as the options say
	limit       bool
	collects    bool // relays are to collect garbage when asked to
	bounded     bool // members stay, whatever the scale
	steps       []step
}

// step measures something, and puts figures down.
type step func(t *trial) error

// underWay is how many deliveries a closed loop has under way.
const underWay = 16_000

// plans returns all, in the order in which they run.
func plans(o *options) []plan {
	idle, jitter, every, away := 25*time.Second, 60*time.Second, 15*time.Second, 2*time.Second
	if o.smoke {
		idle, jitter, every, away = 300*time.Millisecond, 1200*time.Millisecond, 600*time.Millisecond, 200*time.Millisecond
	}
	out := []plan{
		{name: "small", about: "10,000 clients in rooms of 10: a storm of connects, memory, fan-out, latency, acknowledgements",
			clients: 10_000, members: 10, publishers: 2, limit: true, bounded: true,
			steps: []step{connects, fanOut(2000), latency(1000), acknowledgements(40_000)}},
		{name: "medium", about: "1,000 clients in rooms of 100: fan-out, latency",
			clients: 1000, members: 100, publishers: 2, limit: true,
			steps: []step{enter, fanOut(500), fanOut(1500), latency(200)}},
		{name: "large", about: "1,000 clients in one room: fan-out, latency",
			clients: 1000, members: 1000, publishers: 2, limit: true,
			steps: []step{enter, fanOut(50), fanOut(150), latency(20)}},
		{name: "saturated", about: "1,000 clients in one room: as many deliveries as can be",
			clients: 1000, members: 1000, publishers: 32, limit: true,
			steps: []step{enter, saturate(underWay)}},
		{name: "idle", about: "10,000 clients in rooms of 10 that are silent: memory, and the CPU of heartbeats",
			clients: 10_000, members: 10, publishers: 1, limit: true, collects: true, bounded: true,
			steps: []step{memory, heartbeats(idle)}},
		{name: "return", about: "5,000 clients cut at once, which come back at once for what they missed, half of them over another relay",
			clients: 5500, members: 11, publishers: 1, bounded: true,
			steps: []step{enter, comeBack}},
		{name: "jitter", about: "10,000 clients of one room, cut every 15 s for 2 s, and 2 messages a second, for a minute",
			clients: 10_000, members: 10_000, publishers: 1,
			steps: []step{enter, jitters(2, jitter, every, away)}},
	}
	for i := range out {
		out[i].shrink(o.scale)
	}
	return out
}

// shrink makes a plan smaller, or larger.
func (p *plan) shrink(scale float64) {
	const least = 4 // members: two on either of two relays
	groups := p.clients / p.members
	perOne := p.rooms / groups
	if p.bounded || groups > 1 && scale > 1 {
		groups = max(1, int(float64(groups)*scale))
	} else {
		p.members = max(least, int(float64(p.members)*scale))
	}
	p.publishers = min(p.publishers, p.members)
	p.clients, p.rooms = groups*p.members, groups*perOne
}
