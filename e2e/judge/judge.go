package judge

import (
	"fmt"
	"strings"

	"setu/relay/broker"
)

// Verdict is what a history amounts to.
type Verdict struct {
	Faults []string // each a broken promise; none: all were kept

	Stored      int // publishes that were acknowledged, each message once
	Repeated    int // acknowledged as duplicates
	Received    int // messages that came live, over all clients
	Recovered   int // joins that came back and missed nothing
	Missed      int // messages that those joins brought
	Unrecovered int // joins that were told of a gap
	Resumed     int // sessions that went on
	Resets      int // resets
}

// String sums up the verdict.
func (v Verdict) String() string {
	sum := fmt.Sprintf("%d stored, %d repeated, %d received, %d joins recovered with %d messages, %d did not, %d sessions went on, %d resets",
		v.Stored, v.Repeated, v.Received, v.Recovered, v.Missed, v.Unrecovered, v.Resumed, v.Resets)
	if len(v.Faults) == 0 {
		return "the promise was kept: " + sum
	}
	return fmt.Sprintf("THE PROMISE WAS BROKEN %d times: %s\n%s", len(v.Faults), sum, strings.Join(v.Faults, "\n"))
}

// A room's history is known by its epoch: when Redis loses what it had taken,
// another begins. Within one, a message has one place.
type (
	place struct {
		room, epoch string
		seq         uint64
	}
	identity struct{ room, epoch, user, id string }
	seat     struct{ client, room string }
	line     struct{ room, epoch string } // of messages, as all should see it
)

// court is a trial under way.
type court struct {
	rules   Rules
	verdict Verdict

	published map[identity]string  // data, by room, user and id; no epoch
	placed    map[place]Message    // who was seen at a place
	where     map[identity]place   // where a message was seen
	newest    map[line]uint64      // the highest place that anybody knows
	ackedBy   map[line]int         // the event that acknowledged it
	lastAcked map[line]uint64      // the highest place acknowledged so far
	floors    map[identity][]floor // what was acknowledged before a publish was asked
	twice     []twice              // what stands at two places of one epoch
	views     map[seat]*view
	rollbacks int
}

// floor is a place that a later publish must come after.
type floor struct {
	epoch string
	seq   uint64
}

// Judge decides whether the events, in which all clients are quiet at the end,
// show a promise broken.
func Judge(rules Rules, events []Event) Verdict {
	c := &court{rules: rules, published: map[identity]string{}, placed: map[place]Message{}, where: map[identity]place{},
		newest: map[line]uint64{}, ackedBy: map[line]int{}, lastAcked: map[line]uint64{},
		floors: map[identity][]floor{}, views: map[seat]*view{}}
	for i, e := range events {
		c.hear(i, e)
	}
	for who, v := range c.views {
		c.close(who, v)
	}
	for _, t := range c.twice {
		if !c.isLost(t) {
			c.fault(t.i, "duplicate: %s by %s stands at %d and at %d in %s", t.m.ID, t.m.User, t.first.seq, t.second.seq, t.first.room)
		}
	}
	return c.verdict
}

// moves reports whether a place in one epoch may be two messages'.
func (r Rules) moves() bool { return r.Lossy || r.Expires }

func (c *court) fault(i int, format string, args ...any) {
	c.verdict.Faults = append(c.verdict.Faults, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, args...))
}

// twice is a message that stands at two places of one epoch.
type twice struct {
	i             int
	first, second place // as they were seen
	m             Message
}

// isLost reports whether the store had lost the lower of the two places before it took the higher one.
// Nobody knew that yet, so the epoch was still the one of before; it ends there, and clients are told
// the next, which has all from the higher place on, and not that message at the lower one.
func (c *court) isLost(t twice) bool {
	low, high := t.first, t.second
	if low.seq > high.seq {
		low, high = high, low
	}
	is := c.placed[low]
	for at := range c.placed {
		if at.room != high.room || at.seq != high.seq || at.epoch == high.epoch || !c.goesOn(high, at.epoch) {
			continue
		}
		other, known := c.placed[place{at.room, at.epoch, low.seq}]
		if !known || other.ID != is.ID || other.User != is.User {
			return true
		}
	}
	return false
}

// goesOn reports whether a later epoch has all that its predecessor had, as far as it is known, from a
// place on.
func (c *court) goesOn(from place, epoch string) bool {
	for seq := from.seq; seq <= c.newest[line{from.room, from.epoch}]; seq++ {
		was, known := c.placed[place{from.room, from.epoch, seq}]
		now, there := c.placed[place{from.room, epoch, seq}]
		if known && !(there && was.ID == now.ID && isSame(was.Offset, now.Offset)) {
			return false
		}
	}
	return true
}

// isSame reports whether two offsets name one message, in whatever epochs.
func isSame(one, other string) bool {
	a, err1 := broker.ParseOffset(one)
	b, err2 := broker.ParseOffset(other)
	return err1 == nil && err2 == nil && a.Pos == b.Pos && a.Seq == b.Seq && a.Digest == b.Digest
}

// hear takes one event.
func (c *court) hear(i int, e Event) {
	who := seat{e.Client, e.Room}
	switch e.Kind {
	case Publishing:
		c.hearPublishing(e)
	case Stored:
		c.hearStored(i, e)
	case Received:
		c.verdict.Received++
		c.see(i, e.Room, e.Message)
		c.follow(i, who, e.Message)
	case Joined:
		c.seeAll(i, e)
		c.hearJoined(i, who, e)
	case Reset:
		c.verdict.Resets++
		c.seeAll(i, e)
		c.hearReset(i, who, e)
	case RolledBack:
		c.forget()
	case Left:
		delete(c.views, who)
	case Gone, Resumed:
		if e.Kind == Resumed {
			c.verdict.Resumed++
		}
		for at, v := range c.views {
			if at.client == e.Client {
				v.live = e.Kind == Resumed
			}
		}
	}
}

// forget lets go of the histories so far. What is left of them is seen again.
func (c *court) forget() {
	clear(c.placed)
	clear(c.where)
	clear(c.newest)
	clear(c.ackedBy)
	clear(c.lastAcked)
	clear(c.floors)
	c.rollbacks++
}

func (c *court) hearPublishing(e Event) {
	m := e.Message
	who := identity{e.Room, "", m.User, m.ID}
	if _, again := c.published[who]; again {
		return // a repeat may find the first
	}
	c.published[who] = m.Data
	for l, seq := range c.lastAcked {
		if l.room == e.Room {
			c.floors[who] = append(c.floors[who], floor{l.epoch, seq})
		}
	}
}

func (c *court) hearStored(i int, e Event) {
	m := e.Message
	epoch, seq := where(m.Offset)
	if seq != m.Seq {
		c.fault(i, "%s was told offset %s and seq %d, which are not the same place", e.Client, m.Offset, m.Seq)
	}
	c.see(i, e.Room, m)
	l := line{e.Room, epoch}
	if m.Seq >= c.lastAcked[l] {
		c.lastAcked[l], c.ackedBy[l] = m.Seq, i
	}
	if e.Duplicate {
		c.verdict.Repeated++
		return
	}
	c.verdict.Stored++
	for _, f := range c.floors[identity{e.Room, "", m.User, m.ID}] {
		if !c.rules.moves() && f.epoch == epoch && m.Seq <= f.seq {
			c.fault(i, "order: %s published %s after %d had been acknowledged, and it was stored at %d", e.Client, m.ID, f.seq, m.Seq)
		}
	}
}

func (c *court) seeAll(i int, e Event) {
	for _, m := range e.Messages {
		c.see(i, e.Room, m)
	}
}

// see notes that a message stands at a place, whoever saw it there.
func (c *court) see(i int, room string, m Message) {
	epoch, seq := where(m.Offset)
	if epoch == "" || seq != m.Seq {
		c.fault(i, "message %s has offset %q and seq %d, which are not the same place", m.ID, m.Offset, m.Seq)
		return
	}
	data, known := c.published[identity{room, "", m.User, m.ID}]
	if !known {
		c.fault(i, "message %d in %s, %s by %s, was published by nobody", m.Seq, room, m.ID, m.User)
	} else if m.Data != "" && data != m.Data {
		c.fault(i, "message %d in %s, %s, is %s but was published as %s", m.Seq, room, m.ID, m.Data, data)
	}
	at := place{room, epoch, m.Seq}
	m.Data = ""
	if other, taken := c.placed[at]; taken && other != m && !c.rules.moves() {
		c.fault(i, "order: place %d in %s is %s by %s to one and %s by %s to another", m.Seq, room, other.ID, other.User, m.ID, m.User)
	}
	c.placed[at] = m
	who := identity{room, epoch, m.User, m.ID}
	if other, seen := c.where[who]; seen && other != at && !c.rules.moves() {
		c.twice = append(c.twice, twice{i, other, at, m})
	}
	c.where[who] = at
	l := line{room, epoch}
	c.newest[l] = max(c.newest[l], m.Seq)
}

// where reads the epoch and the sequence that an offset names. It is opaque to
// clients, but a judge has to know which history is spoken of.
func where(offset string) (epoch string, seq uint64) {
	o, err := broker.ParseOffset(offset)
	if err != nil {
		return "", 0
	}
	return o.Epoch, o.Seq
}
