package judge

import "setu/relay/broker"

// view is what one client has of one room: an unbroken run of messages up to
// its position. It ends when the client is told of a gap, and another begins.
type view struct {
	live   bool // joined, on a connection that stands
	epoch  string
	seq    uint64
	offset string // as the client was given it last
	first  uint64 // where the run began

	rollbacks int // how many there had been when it got this far
}

// follow takes a message that came live.
func (c *court) follow(i int, who seat, m Message) {
	v := c.views[who]
	if v == nil || !v.live {
		c.fault(i, "%s heard %d in %s, where it is not a member", who.client, m.Seq, who.room)
		return
	}
	epoch, _ := where(m.Offset)
	if c.beginsAgain(m, v.offset) {
		v.seq, v.first = 0, 0
	}
	switch {
	case epoch != v.epoch:
		c.fault(i, "silent gap: %s heard %d in %s of epoch %s while following %s, without a reset", who.client, m.Seq, who.room, epoch, v.epoch)
	case m.Seq > v.first && m.Seq <= v.seq:
		c.fault(i, "duplicate or order: %s heard %d in %s after %d", who.client, m.Seq, who.room, v.seq)
		return
	case m.Seq <= v.seq:
		c.fault(i, "order: %s heard %d in %s, which was over when it joined at %d", who.client, m.Seq, who.room, v.first)
		return
	case m.Seq != v.seq+1:
		c.fault(i, "silent gap: %s heard %d in %s after %d", who.client, m.Seq, who.room, v.seq)
	}
	v.epoch, v.seq, v.offset, v.rollbacks = epoch, m.Seq, m.Offset, c.rollbacks
}

// beginsAgain reports whether m is the first message of a room whose history has expired since offset.
func (c *court) beginsAgain(m Message, offset string) bool {
	before, _ := broker.ParseOffset(offset)
	now, err := broker.ParseOffset(m.Offset)
	return c.rules.Expires && err == nil && m.Seq == 1 && now.Epoch == before.Epoch && now.Pos > before.Pos
}

// names reports whether an offset is a message's, or that of an annotation behind it.
func (c *court) names(offset, message string) bool {
	if offset == message {
		return true
	}
	at, err1 := broker.ParseOffset(offset)
	of, err2 := broker.ParseOffset(message)
	return c.rules.Annotated && err1 == nil && err2 == nil && at.Epoch == of.Epoch && at.Seq == of.Seq && at.Pos > of.Pos
}

// nothingSince reports whether a room that stands at an offset has expired since a message or moment, or
// holds nothing that is newer.
func nothingSince(since, offset string) bool {
	before, _ := broker.ParseOffset(since)
	now, err := broker.ParseOffset(offset)
	return err == nil && now.Epoch == before.Epoch && (now.Seq == 0 || now.Pos <= before.Pos)
}

// hearJoined takes the answer to a join: the run goes on where it was recovered,
// and begins anew where it was not.
func (c *court) hearJoined(i int, who seat, e Event) {
	epoch, seq := where(e.Offset)
	v := &view{live: true, epoch: epoch, seq: seq, offset: e.Offset, rollbacks: c.rollbacks}
	before := c.views[who]
	c.views[who] = v
	sinceEpoch, since := where(e.Since)
	switch {
	case e.Since == "":
		v.first = c.run(i, who, e, 0)
	case e.Recovered:
		c.verdict.Recovered++
		c.verdict.Missed += len(e.Messages)
		if epoch != sinceEpoch {
			c.fault(i, "silent gap: %s came back to %s from epoch %s, and epoch %s is said to continue it", who.client, who.room, sinceEpoch, epoch)
		}
		if at, known := c.placed[place{e.Room, epoch, since}]; known && !c.names(e.Since, at.Offset) && !c.rules.moves() {
			c.fault(i, "silent gap: %s came back to %s with %s, and %s, which stands there, is said to continue it", who.client, who.room, e.Since, at.Offset)
		}
		v.first = since
		if before != nil && before.offset == e.Since {
			v.first = before.first
		}
		// Since may name a moment in a room, which has no number.
		follows := since
		if since == 0 && len(e.Messages) > 0 {
			follows = e.Messages[0].Seq - 1
		}
		if len(e.Messages) == 0 && c.rules.Expires && nothingSince(e.Since, e.Offset) {
			follows = seq
		}
		c.run(i, who, e, follows+1)
	default:
		c.verdict.Unrecovered++
		rolledBack := c.rollbacks > 0 && (before == nil || before.rollbacks < c.rollbacks)
		if !rolledBack && !c.rules.moves() && epoch == sinceEpoch && seq >= since && seq-since <= uint64(c.rules.Kept) {
			c.fault(i, "loss: %s came back to %s with %d, at %d the room held what it missed, and it was not recovered", who.client, who.room, since, seq)
		}
		v.first = c.run(i, who, e, 0)
	}
}

func (c *court) hearReset(i int, who seat, e Event) {
	v := c.views[who]
	if v == nil || !v.live {
		c.fault(i, "%s was told of a reset of %s, where it is not a member", who.client, who.room)
		return
	}
	epoch, seq := where(e.Offset)
	if !c.rules.moves() && epoch == v.epoch && seq-v.seq <= uint64(c.rules.Kept) {
		c.fault(i, "loss: %s was at %d in %s, at %d the room held what it missed, and it was reset", who.client, v.seq, who.room, seq)
	}
	v.epoch, v.seq, v.offset = epoch, seq, e.Offset
	v.first = c.run(i, who, e, 0)
}

// run checks that a list of messages is whole, and ends at the room's newest;
// from is where it must begin, 0 for anywhere. It returns what precedes the list.
func (c *court) run(i int, who seat, e Event, from uint64) uint64 {
	epoch, newest := where(e.Offset)
	if epoch == "" {
		c.fault(i, "%s was given the offset %q in %s", who.client, e.Offset, who.room)
	}
	if len(e.Messages) == 0 {
		if from > 0 && newest >= from {
			c.fault(i, "silent gap: %s came back to %s without %d to %d", who.client, who.room, from, newest)
		}
		return newest
	}
	if from == 0 {
		from = e.Messages[0].Seq
	}
	last := e.Since
	for n, m := range e.Messages {
		if c.beginsAgain(m, last) {
			from = 1 - uint64(n) // wraps, and back below
		}
		last = m.Offset
		if at, _ := where(m.Offset); at != epoch {
			c.fault(i, "silent gap: %s was given %d in %s of epoch %s among epoch %s", who.client, m.Seq, who.room, at, epoch)
		}
		if want := from + uint64(n); m.Seq != want {
			c.fault(i, "silent gap, duplicate or order: %s was given %d in %s where %d belongs", who.client, m.Seq, who.room, want)
			break
		}
	}
	if last := e.Messages[len(e.Messages)-1]; !c.names(e.Offset, last.Offset) {
		c.fault(i, "%s was given messages of %s up to %s, and the offset %s", who.client, who.room, last.Offset, e.Offset)
	}
	return from - 1
}

// close looks at where a client ended: whoever is still a member has everything.
func (c *court) close(who seat, v *view) {
	if !v.live || c.rules.moves() {
		return
	}
	l := line{who.room, v.epoch}
	if newest := c.newest[l]; v.seq < newest {
		acked := ""
		if c.lastAcked[l] > v.seq {
			acked = ", acknowledged"
		}
		c.fault(c.ackedBy[l], "loss: %s never heard %d to %d in %s%s", who.client, v.seq+1, newest, who.room, acked)
	}
	// The newest epoch in which something was acknowledged is where all should be.
	latest, when := v.epoch, -1
	for other, at := range c.ackedBy {
		if other.room == who.room && at > when {
			latest, when = other.epoch, at
		}
	}
	if latest != v.epoch {
		c.fault(when, "silent gap: %s still follows epoch %s of %s, and was not told of %s", who.client, v.epoch, who.room, latest)
	}
}
