package simulation

import (
	"math/rand/v2"
	"time"

	"setu/relay/broker/simulation/fakeredis"
)

// newPlan makes the plan of a seed.
func newPlan(seed uint64, steps int) plan {
	r := rand.New(rand.NewPCG(seed, 5))
	p := plan{seed: seed, relays: 2 + r.IntN(3), members: 3 + r.IntN(6), rooms: 1 + r.IntN(6), history: pick(r, 8, 16, 32, 64),
		ttl: pick(r, 24*time.Hour, 24*time.Hour, 24*time.Hour, time.Hour, 10*time.Minute, time.Minute, 15*time.Second), recovery: time.Hour,
		lease: time.Duration(3+r.IntN(13)) * time.Second,
		link:  fakeredis.Link{Delay: time.Duration(pick(r, 1, 1, 5, 40, 140)) * time.Millisecond, Jitter: time.Millisecond},
		pad:   pick(r, 0, 0, 0, 0, 500, 3000), told: seed%2 == 0}
	for m := range p.members {
		p.steps = append(p.steps, step{op: "join", a: m, b: r.IntN(64)}, step{op: "join", a: m, b: r.IntN(64)})
	}
	p.steps = append(p.steps, step{op: "wait", d: time.Second})
	for len(p.steps) < steps {
		p.steps = append(p.steps, p.some(r)...)
		if r.IntN(12) == 0 {
			p.steps = append(p.steps, step{op: "calm"})
		}
	}
	p.steps = append(p.steps, step{op: "calm"})
	return p
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// some returns a few steps that belong together.
func (p plan) some(r *rand.Rand) []step {
	n := func(op string) step { return step{op: op, a: r.IntN(64), b: r.IntN(64), c: r.IntN(64)} }
	say := func() step { s := n("say"); s.c = pick(r, 1, 1, 1, 2, 3, 5, 9, 30); return s }
	wait := func() step {
		return step{op: "wait", d: pick(r, 0, time.Millisecond, 20*time.Millisecond, 200*time.Millisecond, time.Second, 3*time.Second, 8*time.Second)}
	}
	switch k := r.IntN(100); {
	case k < 30:
		return []step{say(), wait()}
	case k < 36:
		return []step{n("murmur"), wait()}
	case k < 39:
		return []step{n("repeat"), wait()}
	case k < 43:
		s := n("annotate")
		s.b = pick(r, 0, 1, 3, 7, s.b)
		return []step{s, wait()}
	case k < 46:
		return []step{n("signal")}
	case k < 52:
		return []step{n("join"), wait()}
	case k < 54:
		return []step{n("leave"), wait()}
	case k < 60:
		return []step{n("gone"), wait()}
	case k < 68:
		return []step{n("come"), wait()}
	case k < 70: // much is said by many: what was known of ids and offsets is far back
		s, t := n("say"), n("repeat")
		s.c, t.b = 80+r.IntN(300), s.c+r.IntN(400)
		return []step{s, {op: "wait", d: 2 * time.Second}, t, wait()}
	case k < 72:
		return []step{{op: "wait", d: pick(r, 15*time.Second, time.Minute, 6*time.Minute, 20*time.Minute)}}
	case k < 84:
		return p.trouble(r, n, wait)
	case k < 93:
		return []step{n(pick(r, "relay cut", "relay cut some", "relay apart", "relay lost", "relay slow", "relay heal", "relay heal",
			"relay kill", "relay drain", "relay freeze", "relay thaw", "start")), wait()}
	default:
		s := n(pick(r, "replicate", "snapshot", "restart", "evict", "refuse", "take", "forget scripts", "clock", "freeze", "thaw", "stray", "relay lag"))
		s.d = pick(r, -time.Second, 0, 30*time.Millisecond, 150*time.Millisecond, time.Second)
		if s.op == "clock" {
			s.d = pick(r, -2*time.Second, -300*time.Millisecond, 300*time.Millisecond, 2*time.Second)
		}
		if p.told && s.a%4 == 0 {
			s.op = "app"
		}
		return []step{s, wait()}
	}
}

// trouble returns a fault that takes several steps to come about.
func (p plan) trouble(r *rand.Rand, n func(string) step, wait func() step) []step {
	say := func() step { s := n("say"); s.c = 1 + r.IntN(6); return s }
	switch r.IntN(9) {
	case 0, 1: // a replica that lags is promoted, and the history may grow back to the same numbers
		return []step{{op: "replicate", d: -1}, wait(), say(), wait(), n("failover"), wait(), say(), say(), wait()}
	case 2: // those who know are not there when it happens
		who, s := n("relay kill"), say()
		if r.IntN(2) == 0 {
			who.op = "relay freeze"
		}
		gone := n("gone")
		gone.a = s.a
		return []step{{op: "replicate", d: -1}, wait(), s, {op: "wait", d: 300 * time.Millisecond}, gone, who, n("failover"),
			{op: "wait", d: time.Second}, say(), say(), wait(), {op: "start", a: who.a}, {op: "relay thaw", a: who.a}, wait(), n("come")}
	case 3:
		return []step{n("demote"), say(), wait(), say(), {op: "wait", d: p.lease + 3*time.Second}, say(), wait()}
	case 4:
		lag := n("relay lag")
		lag.d = pick(r, 30*time.Millisecond, 150*time.Millisecond)
		return []step{lag, say(), n("flush"), say(), wait(), say(), wait()}
	case 5:
		return []step{n("refuse"), say(), {op: "wait", d: 5 * time.Second}, say(), {op: "wait", d: 5 * time.Second}, say(), {op: "wait", d: 5 * time.Second},
			say(), wait(), {op: "take"}, wait()}
	case 6:
		return []step{n("snapshot"), wait(), say(), wait(), n("restart"), wait(), say(), wait()}
	case 7: // members of a relay that lags hop over to it
		who := n("relay lag")
		who.d = pick(r, 500*time.Millisecond, 3*time.Second)
		come := n("come")
		come.b = who.a
		return []step{who, say(), {op: "wait", d: 200 * time.Millisecond}, {op: "gone", a: come.a}, come, wait(), {op: "relay heal", a: who.a}}
	default:
		who := n("relay apart")
		come := n("come")
		come.b = who.a
		return []step{who, say(), wait(), {op: "gone", a: come.a}, come, wait(), {op: "relay heal", a: who.a}, wait()}
	}
}
