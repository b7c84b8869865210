package simulation

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"setu/e2e/judge"
	"setu/relay/broker/simulation/fakeredis"
)

// step is one thing that happens. Its numbers are taken modulo what there is, so that a step means
// something in whatever world it is left in.
type step struct {
	op      string
	a, b, c int
	d       time.Duration
}

func (s step) String() string { return fmt.Sprintf("{%q, %d, %d, %d, %d},", s.op, s.a, s.b, s.c, s.d) }

// stepTime lies between steps, so that no two happen at one instant.
const stepTime = 137 * time.Microsecond

// take takes one step.
func (w *world) take(s step) {
	<-time.After(stepTime)
	synctest.Wait()
	w.j.pass()
	m := w.members[s.a%len(w.members)]
	room := w.rooms[s.b%len(w.rooms)]
	switch s.op {
	case "wait":
		w.wait(s.d)
	case "calm":
		w.calm()
	case "ready":
		w.checkReady("though nothing keeps it")
	case "join":
		m.wantIn(room)
	case "leave":
		m.wantOut(room)
	case "say":
		for range s.c {
			w.say(m, room, true)
		}
	case "murmur":
		w.say(m, room, false)
	case "repeat":
		w.repeat(s.a, s.b)
	case "signal":
		m.signal(room)
	case "annotate":
		for i := range 1 + s.c%3 {
			w.annotate(m, s.b/(1+i), s.c+i)
		}
	case "gone":
		m.leave("vanishes")
	case "come":
		m.come(w.nodes[s.b%len(w.nodes)], s.c%2 == 0)
	default:
		w.verdict.done[s.op]++
		before := w.lastFault
		w.lastFault = time.Now()
		w.fail(s, w.nodes[s.a%len(w.nodes)], before)
	}
}

// fail brings about what a step says.
func (w *world) fail(s step, n *node, before time.Time) {
	if n.dead && s.op != "start" && s.op[0] == 'r' {
		return
	}
	tell := func(format string, args ...any) { w.j.add("Redis", nil, format, args...) }
	link := func(format string, args ...any) {
		n.disturbed, n.sick = time.Now(), s.op != "relay heal"
		w.j.add(n.name, nil, format, args...)
	}
	switch s.op {
	case "relay kill":
		w.orphan(n, before)
		n.kill()
	case "relay drain":
		n.drain()
	case "relay freeze":
		n.freeze()
	case "relay thaw":
		n.thaw()
	case "start":
		if n.dead {
			w.start(s.a % len(w.nodes))
		}
	case "relay cut":
		link("loses its connections to Redis")
		w.redis.Cut(n.name)
	case "relay cut some":
		link("loses its connections to Redis, subscribed %t", s.b%2 == 0)
		w.redis.CutSome(n.name, s.b%2 == 0)
	case "relay apart":
		link("is apart from Redis: connections are refused")
		w.redis.SetLink(n.name, fakeredis.Link{NoDial: true})
		w.redis.Cut(n.name)
	case "relay lost":
		is := w.plan.link
		is.Lost, is.LostBack = s.b%3 != 1, s.b%3 != 2
		link("nothing gets through to Redis %t, or back %t", !is.Lost, !is.LostBack)
		w.redis.SetLink(n.name, is)
	case "relay slow":
		is := w.plan.link
		is.Delay, is.Jitter, is.Bytes = time.Duration(s.b%300)*time.Millisecond, time.Duration(s.c%100)*time.Millisecond, 4<<10<<(s.c%9)
		link("is %v from Redis, at %d bytes/s", is.Delay, is.Bytes)
		w.redis.SetLink(n.name, is)
	case "relay lag":
		link("what is published comes %v later", s.d)
		w.redis.PubSubLag(n.name, s.d)
	case "relay heal":
		link("is near Redis again")
		w.redis.SetLink(n.name, w.plan.link)
		w.redis.PubSubLag(n.name, 0)
	default:
		w.failRedis(s, tell)
	}
}

// failRedis brings about what happens to Redis itself.
func (w *world) failRedis(s step, tell func(string, ...any)) {
	w.app.expect(s)
	switch s.op {
	case "replicate":
		tell("its replica is %v behind", s.d)
		w.redis.ReplicationLag(s.d)
	case "failover":
		w.lossy = true
		tell("the replica, as it is, becomes the primary")
		w.redis.Failover()
	case "demote":
		w.lossy = true
		tell("the primary becomes a replica, and keeps its connections")
		w.redis.Demote()
	case "snapshot":
		tell("saves what it holds")
		w.redis.Snapshot()
	case "restart":
		w.lossy = w.lossy || s.b%2 == 0
		tell("restarts, from what it saved last %t", s.b%2 == 0)
		w.redis.Restart(s.b%2 == 0)
	case "flush":
		w.lossy = true
		tell("is emptied")
		w.redis.Flush()
	case "evict":
		what := evictable[s.b%len(evictable)]
		w.evicted, w.evictedAt = true, time.Now()
		tell("evicts a key of %s: %t", what, w.redis.Evict(what))
	case "refuse":
		w.refusing = refusals[s.b%len(refusals)]
		tell("refuses what is written: %s", w.refusing)
		w.redis.Refuse(w.refusing)
		w.mu.Lock()
		w.refusedSince = time.Now()
		w.mu.Unlock()
	case "take":
		tell("takes what is written")
		w.taken()
	case "forget scripts":
		tell("forgets all scripts")
		w.redis.ForgetScripts()
	case "clock":
		tell("its clock steps by %v", s.d)
		w.redis.StepClock(s.d)
	case "freeze":
		tell("stands still")
		w.frozen = true
		w.redis.Freeze()
	case "thaw":
		tell("goes on")
		w.frozen, w.eased = false, time.Now()
		w.redis.Thaw()
	case "app":
		w.app.be(appMood(s.b % 3))
		w.j.add("the app", nil, "is %s", appMood(s.b%3))
	case "stray":
		w.stray(s, tell)
	default:
		panic("no such step: " + s.op)
	}
}

// taken has Redis take what is written.
func (w *world) taken() {
	w.refusing, w.eased = "", time.Now()
	w.redis.Refuse("")
	w.mu.Lock()
	w.refusedSince = time.Time{}
	w.mu.Unlock()
}

var (
	evictable = []string{":stream:", ":index:", ":members:", ":lives", ":session:", ":head", ":life:"}
	refusals  = []string{"OOM", "MISCONF", "NOREPLICAS"}
)

// stray publishes, past all relays, what was never stored: of a position to come, of one long gone, or
// of another epoch.
func (w *world) stray(s step, tell func(string, ...any)) {
	room := w.rooms[s.b%len(w.rooms)]
	head := w.head()
	pos := head.pos + uint64(s.c%3)*5
	epoch := head.epoch
	if s.c%4 == 3 {
		epoch = "another000"
	}
	tell("somebody publishes what was never stored in %s, at %s.%d", room, epoch, pos)
	body := fmt.Sprintf(`m%s %d %d %d %s %s "id":"stray","from":{"id":"x","name":"x","guest":true},"data":"stray"`,
		epoch, pos, 1+s.a%50, time.Now().UnixMilli(), "0123456789ab", "ba9876543210")
	_, _ = w.redis.Do("PUBLISH", "setu{0}:room:"+room, body)
}

// wantIn has the member join a room, now or once it is connected.
func (m *member) wantIn(room string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.seats[room]
	if s == nil {
		s = &seat{since: time.Now()}
		m.seats[room] = s
	}
	if m.up && !s.joined && !s.asked {
		m.join(room, s)
	}
}

func (m *member) signal(room string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inRoom(room) != nil {
		m.acks++
		m.c.say(`42["signal",{"room":"` + room + `","data":1}]`)
	}
}

// maxSaid bounds what is said in one world.
const maxSaid = 20000

// say has the member publish something new.
func (w *world) say(m *member, room string, named bool) *publication {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inRoom(room) == nil || len(w.said) >= maxSaid {
		return nil
	}
	text := "x" + strconv.Itoa(len(w.said)+1)
	data := text + strings.Repeat(".", w.plan.pad)
	p := &publication{by: m, room: room, name: text, data: data, asked: time.Now(), event: &judge.Event{Kind: judge.Told, Room: room,
		Message: judge.Message{User: m.user, Data: data}}}
	if named {
		p.id, p.own, p.event.Kind, p.event.Message.ID = text, text, judge.Publishing, text
	}
	w.said = append(w.said, p)
	w.mu.Lock()
	w.byData[data] = p
	w.mu.Unlock()
	w.j.add(m.name, p.event, "publishes %s in %s over %s", text, room, m.relay.name)
	m.publish(p)
	return p
}

// publish sends a publication. m.mu is held.
func (m *member) publish(p *publication) {
	body := map[string]any{"room": p.room, "data": p.data}
	if p.own != "" {
		body["id"] = p.own
	}
	over := m.relay
	began := time.Now()
	m.ask("publish", body, func(a answer) {
		if !a.OK {
			m.w.j.add(m.name, &judge.Event{Kind: judge.Refused, Room: p.room}, "is refused %s: %s", p.name, a.Error.Code)
			if s := m.inRoom(p.room); a.Error.Code != "not_joined" || s != nil && !s.asked { // else it has said so after it asked to leave
				m.w.refusal(over, time.Since(began))
			}
			m.w.mu.Lock()
			p.told, p.own = true, cmp.Or(a.ID, p.own)
			if a.ID != "" && p.id == "" {
				m.w.name(p, a.ID)
			}
			m.w.mu.Unlock()
			return
		}
		repeat := ""
		if a.Duplicate {
			repeat = ", as a repeat"
		}
		m.w.mu.Lock()
		p.own = a.ID
		if p.id == "" {
			m.w.name(p, a.ID)
		}
		m.w.mu.Unlock()
		m.w.j.add(m.name, &judge.Event{Kind: judge.Stored, Room: p.room, Duplicate: a.Duplicate,
			Message: judge.Message{User: m.user, ID: a.ID, Seq: a.Seq, Offset: a.Offset, Data: p.data}},
			"has %s acknowledged by %s at %s%s", p.name, over.name, a.Offset, repeat)
		m.w.acked(p, over, a)
	})
}

// repeat publishes again what was said nth before, by whoever is the same user. What was said without
// an id is only repeated once the relay has named one, or has refused it.
func (w *world) repeat(who, nth int) {
	if len(w.said) == 0 {
		return
	}
	p := w.said[len(w.said)-1-nth%len(w.said)]
	m := p.by
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inRoom(p.room) == nil {
		return
	}
	w.mu.Lock()
	unnamed := p.own == "" && !p.told
	w.mu.Unlock()
	if unnamed {
		return
	}
	w.j.add(m.name, nil, "publishes %s again, over %s", p.name, m.relay.name)
	m.publish(p)
}
