package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// What must be so after all that failed is well again. The times follow from the constants of package
// redis: a connection that is dead is noticed within 5 s (probeTimeout), a call of ours ends within 5 s
// (callTimeout), a connection is tried again within 0.5 s (maxReconnect); twice, for one may begin on
// what the other leaves.
const (
	healTime     = 25 * time.Second
	rejoinTime   = 15 * time.Second
	silentTime   = 12 * time.Second // that a relay may be unready without a word in its log
	reconcileAll = 70 * time.Second // in which it is found out that a key of presence's was taken away: each is looked at once a minute, and is told a few seconds later
	quietTime    = 20 * time.Second
	quietRate    = 25  // commands a second from one relay, when nothing happens
	spinRate     = 400 // at any time, beside what members do
	flickerAfter = 3   // leases without a disturbance, after which nobody may be taken for gone
	leakSlack    = 60  // goroutines more than after the first calm
)

// look looks at the relays, once a second.
func (w *world) look() {
	for _, n := range w.nodes {
		if n.frozen || n.sick || w.frozen {
			n.disturbed = time.Now()
		}
		if n.dead || n.frozen {
			continue
		}
		err := n.broker.Ready()
		now := time.Now()
		switch {
		case err == nil:
			n.unready = time.Time{}
			continue
		case n.unready.IsZero():
			n.unready = now
		}
		if spoke := n.logs.spoke(); !n.told && now.Sub(n.unready) > silentTime && spoke.Before(n.unready.Add(-2*time.Second)) && !n.logs.saysWhy(err) {
			n.told = true
			w.fault("silent: %s has not been ready for %v (%v), and its log says nothing", n.name, now.Sub(n.unready).Round(time.Second), err)
		}
	}
	w.lookAtRate()
}

// lookAtRate looks for a relay that spins.
func (w *world) lookAtRate() {
	now, commands := time.Now(), w.redis.Commands()
	if d := now.Sub(w.rateAt); d >= 5*time.Second {
		members := uint64(len(w.said)-w.rateSaid) * 8
		if n := commands - w.rateCommands; !w.rateAt.IsZero() && float64(n-min(n, members)) > spinRate*float64(len(w.nodes))*d.Seconds() {
			w.fault("spins: %d commands a second reach Redis", int(float64(n)/d.Seconds()))
		}
		w.rateAt, w.rateCommands, w.rateSaid = now, commands, len(w.said)
	}
}

// refusal notes that a publish was refused: a relay that says it is ready must not go on with that.
func (w *world) refusal(over *node, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdict.refused++
	over.refusals = append(over.refusals, time.Now())
	over.refusals = over.refusals[max(0, len(over.refusals)-8):]
}

// left looks at somebody who is said to have left a room. m.mu is held.
func (w *world) left(m *member, s *seat, fault, room, user string) {
	if w.evicted {
		return
	}
	w.mu.Lock()
	late := w.checkLate(user, s.here)
	w.flickers = append(w.flickers, flicker{fault, m.name, room, user, m.relay, time.Now()})
	w.mu.Unlock()
	if late != "" {
		w.fault("%s", late)
	}
}

type flicker struct {
	fault, told, room, user string
	over                    *node // that told it
	at                      time.Time
}

// checkFlickers looks for people who were said to have left, and had been there all the time.
func (w *world) checkFlickers() {
	w.mu.Lock()
	all := w.flickers
	w.flickers = nil
	w.mu.Unlock()
	for _, f := range all {
		f.at = f.over.saidAt(f.at)
		for _, m := range w.members {
			m.mu.Lock()
			s := m.inRoom(f.room)
			stayed := s != nil && m.user == f.user && s.here.Before(f.at.Add(-flickerAfter*w.plan.lease)) && !m.relay.dead && !m.relay.frozen &&
				m.relay.disturbed.Before(f.at.Add(-flickerAfter*w.plan.lease))
			name := m.name
			m.mu.Unlock()
			if stayed {
				w.fault("%s: %s was told that %s left %s, and who never did", f.fault, f.told, name, f.room)
				return
			}
		}
	}
}

// checkEpoch: the epoch moves on when Redis has lost something, and never otherwise.
func (w *world) checkEpoch() {
	switch now := w.head().epoch; {
	case w.epoch == "" || w.lossy || w.evicted:
		w.epoch = now
	case w.epoch != now:
		w.fault("epoch: it moved on, and Redis has lost nothing")
		w.epoch = now
	}
}

// lateLeave is how much later than its lease a relay that has died may lose its people: a second for
// looks that come once a second, and the way there and back.
const lateLeave = 2 * time.Second

// checkLate: whoever was connected to a relay that was killed, and nowhere else since, has left within its
// lease and a second. Who says so was there all the time: whoever comes back hears of it then. w.mu is held.
func (w *world) checkLate(user string, here time.Time) (text string) {
	killed, orphan := w.orphans[user]
	if here.After(killed) {
		return ""
	}
	delete(w.orphans, user)
	d := time.Since(killed)
	if !orphan || w.lastFault.After(killed) || d <= w.plan.lease+lateLeave+8*w.plan.link.Delay {
		return ""
	}
	return fmt.Sprintf("late leave: %s left %v after the relay was killed, whose lease was %v", w.byUser[user], d.Round(100*time.Millisecond), w.plan.lease)
}

// orphan notes who is to leave because a relay was killed, if all else is well and has been.
func (w *world) orphan(n *node, before time.Time) {
	if time.Since(before) < 3*w.plan.lease+healTime || slices.ContainsFunc(w.nodes, func(n *node) bool { return n.sick || n.frozen }) {
		return
	}
	here, elsewhere := map[string]bool{}, map[string]bool{}
	for _, m := range w.everybody() {
		m.mu.Lock()
		if m.c != nil && m.relay == n {
			here[m.user] = true
		} else if m.c != nil {
			elsewhere[m.user] = true
		}
		m.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for user := range here {
		if !elsewhere[user] {
			w.orphans[user] = time.Now()
		}
	}
}

// slowJoin is how long a join may take, beside its trips to Redis, when no connection fails.
const slowJoin = 2 * time.Second

// joinTook looks at how long a join took while Redis refuses what is written.
func (w *world) joinTook(m *member, over *node, d time.Duration) {
	w.mu.Lock()
	w.verdict.slowestJoin = max(w.verdict.slowestJoin, d)
	since := w.refusedSince
	w.mu.Unlock()
	if !since.IsZero() && time.Since(since) > w.plan.lease+d && d > slowJoin+10*w.plan.link.Delay && time.Since(over.disturbed) > d+healTime {
		w.fault("slow join: %s took %v to join over %s, while Redis takes nothing", m.name, d.Round(time.Millisecond), over.name)
	}
}

// heal ends all that fails.
func (w *world) heal() {
	w.redis.Thaw()
	w.app.be(appWell)
	w.taken()
	w.frozen = false
	w.redis.ReplicationLag(0)
	for slot, n := range w.nodes {
		if n.dead {
			w.start(slot)
			continue
		}
		n.thaw()
		n.sick = false
		w.redis.SetLink(n.name, w.plan.link)
		w.redis.PubSubLag(n.name, 0)
	}
}

// calm heals everything, has everybody come back, and checks that all is as promised.
func (w *world) calm() {
	w.j.add("*", nil, "all that failed is well again")
	for _, n := range w.nodes {
		w.checkRefusals(n)
	}
	w.heal()
	w.wait(healTime + w.plan.lease)
	w.checkReady(fmt.Sprint(healTime+w.plan.lease, " after all was healed"))
	w.checkFlickers()
	w.checkEpoch()
	if w.broken() {
		return
	}
	for i, m := range w.members {
		m.mu.Lock()
		away := !m.up
		m.mu.Unlock()
		if away {
			m.come(w.nodes[i%len(w.nodes)], i%2 == 0)
		}
	}
	w.wait(max(rejoinTime, time.Until(w.evictedAt.Add(reconcileAll+10*w.plan.link.Delay))))
	for _, m := range w.members {
		w.checkBack(m)
	}
	w.observe()
	if w.broken() {
		return
	}
	w.checkSeats()
	w.checkLost()
	w.checkSaid()
	w.checkQuiet()
	w.checkApp()
}

func (w *world) checkReady(when string) {
	for _, n := range w.nodes {
		if err := n.broker.Ready(); err != nil && !n.dead {
			w.fault("unready: %s is not ready %s: %v", n.name, when, err)
		}
	}
}

// checkRefusals: a relay that has refused publishes for a while must not call itself ready.
func (w *world) checkRefusals(n *node) {
	w.mu.Lock()
	r := n.refusals
	w.mu.Unlock()
	if n.dead || len(r) < 4 || w.eased.After(r[len(r)-1]) || n.disturbed.After(r[len(r)-1]) {
		return // or it may have noticed already that all is well again
	}
	if r[len(r)-1].Sub(r[0]) > silentTime && time.Since(r[len(r)-1]) < 2*time.Second && n.broker.Ready() == nil {
		w.fault("refuses while ready: %s has refused publishes for %v and calls itself ready", n.name, r[len(r)-1].Sub(r[0]).Round(time.Second))
	}
}

// checkBack: everybody who wants to be in a room is.
func (w *world) checkBack(m *member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.up {
		w.fault("stuck: %s cannot connect to a relay that is well", m.name)
		return
	}
	for _, room := range w.rooms {
		if s := m.seats[room]; s != nil && !s.joined {
			w.fault("stuck: %s cannot join %s over %s, which is well", m.name, room, m.relay.name)
		}
	}
}

// observe has somebody at each relay speak and look: all must hear one another, and see the same.
func (w *world) observe() {
	if w.guests == nil {
		for _, n := range w.nodes {
			g := newMember(w, "observer-"+n.name, "key-of-observer-"+n.name+"-000")
			w.mu.Lock()
			w.guests = append(w.guests, g)
			w.mu.Unlock()
		}
		w.rooms = append(w.rooms, harbour)
	}
	for i, g := range w.guests {
		g.come(w.nodes[i], false)
	}
	w.wait(2 * time.Second)
	for _, g := range w.guests {
		g.wantIn(harbour)
	}
	w.wait(5 * time.Second)
	var all []*publication
	for _, g := range w.guests {
		p := w.say(g, harbour, true)
		if p == nil {
			w.fault("stuck: %s cannot join a room over %s, which is well", g.name, g.at().name)
			return
		}
		all = append(all, p)
	}
	for _, room := range w.rooms[:w.plan.rooms] {
		for _, m := range w.members {
			if p := w.say(m, room, true); p != nil {
				all = append(all, p)
				break
			}
		}
	}
	w.wait(3 * time.Second)
	for _, p := range all {
		w.checkHeard(p)
	}
	w.checkMembers()
	for _, g := range w.guests {
		g.wantOut(harbour)
	}
	w.wait(time.Second)
	for _, g := range w.guests {
		g.leave("has seen enough")
	}
}

// harbour is the room of the observers.
const harbour = "harbour"

func (w *world) checkHeard(p *publication) {
	if p.acked.IsZero() {
		w.fault("stuck: %s published %s in %s 3 s ago, all being well, and was not answered", p.by.name, p.name, p.room)
	}
	for _, m := range w.everybody() {
		m.mu.Lock()
		s := m.inRoom(p.room)
		deaf := s != nil && !slices.ContainsFunc(s.run, func(h heard) bool { return h.id == p.id })
		m.mu.Unlock()
		if deaf && !p.acked.IsZero() {
			w.fault("stuck: %s has not heard %s in %s, published 3 s ago, all being well", m.name, p.name, p.room)
			return
		}
	}
}

// checkMembers asks each relay who is where, and compares that with who is.
func (w *world) checkMembers() {
	for _, room := range w.rooms[:w.plan.rooms] {
		want := map[string]bool{}
		for _, m := range w.members {
			m.mu.Lock()
			if m.inRoom(room) != nil {
				want[m.user] = true
			}
			m.mu.Unlock()
		}
		for _, g := range w.guests {
			w.checkList(g, room, want)
		}
		for _, m := range w.members {
			m.mu.Lock()
			s := m.inRoom(room)
			var people map[string]bool
			if s != nil {
				people = maps.Clone(s.people)
			}
			m.mu.Unlock()
			if s != nil && people != nil && !people[m.user] && len(people) == len(want)-1 {
				w.fault("own presence: %s is in %s, and not in its own list of who is", m.name, room)
			} else if s != nil && !maps.Equal(people, want) {
				w.fault("presence: %s heard from events that %s are in %s, where %s are", m.name, w.names(people), room, w.names(want))
			}
		}
	}
}

func (w *world) checkList(g *member, room string, want map[string]bool) {
	got, answered := map[string]bool{}, false
	g.mu.Lock()
	relay := ""
	if g.up {
		relay = g.relay.name
		g.ask("members", map[string]any{"room": room}, func(a answer) {
			answered = a.OK
			for _, u := range a.Members {
				got[u.ID] = true
			}
		})
	}
	g.mu.Unlock()
	<-time.After(time.Second)
	synctest.Wait()
	if !answered {
		w.fault("stuck: %s does not say who is in %s, all being well", relay, room)
	} else if !maps.Equal(got, want) {
		w.fault("members: %s says that %s are in %s, where %s are", relay, w.names(got), room, w.names(want))
	}
}

func (w *world) names(users map[string]bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for u := range users {
		out = append(out, cmp.Or(w.byUser[u], u))
	}
	slices.Sort(out)
	return fmt.Sprintf("%d (%s)", len(out), strings.Join(out, ", "))
}

// checkQuiet: when nothing happens, little is done.
func (w *world) checkQuiet() {
	before := w.redis.Commands()
	w.wait(quietTime)
	rate := float64(w.redis.Commands()-before) / quietTime.Seconds() / float64(len(w.nodes))
	if rate > quietRate {
		w.fault("spins: %.0f commands a second from each relay while nothing happens", rate)
	}
	n := goroutines()
	if w.noisy == 0 {
		w.noisy = n
	} else if n > w.noisy+leakSlack {
		w.fault("leak: %d goroutines, %d after the first calm", n, w.noisy)
	}
}
