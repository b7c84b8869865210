package simulation

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"setu/relay/broker"
)

// What Redis holds, read past everybody.

type head struct {
	epoch string
	pos   uint64
}

func (w *world) head() (h head) {
	got, err := w.redis.Do("HMGET", "setu{0}:head", "epoch", "pos")
	list, ok := got.([]any)
	if err != nil || !ok || len(list) != 2 {
		return h
	}
	h.epoch, _ = list[0].(string)
	text, _ := list[1].(string)
	h.pos, _ = strconv.ParseUint(text, 10, 64)
	return h
}

// kept is a message as Redis keeps it.
type kept struct {
	pos, seq uint64
	digest   string
	id, data string
	at       int64
	note     bool   // it is an annotation
	shown    string // what it says now, where data is what was said first
}

func (k kept) is(o broker.Offset) bool {
	return k.pos == o.Pos && k.seq == o.Seq && k.digest == o.Digest
}

// stream returns what Redis holds of a room.
func (w *world) stream(room string) (out []kept) {
	got, err := w.redis.Do("XRANGE", "setu{0}:stream:"+room, "-", "+")
	if err != nil {
		w.fault("the stream of %s can't be read: %v", room, err)
	}
	list, _ := got.([]any)
	for _, e := range list {
		k, err := parseKept(e)
		if err != nil {
			w.fault("the stream of %s: %v", room, err)
			return nil
		}
		if k.shown = k.data; !k.note {
			k.data = w.first(k.id, k.data)
		}
		out = append(out, k)
	}
	return out
}

func parseKept(e any) (k kept, err error) {
	bad := fmt.Errorf("what is %v?", e)
	pair, ok := e.([]any)
	if !ok || len(pair) != 2 {
		return k, bad
	}
	name, _ := pair[0].(string)
	fields, _ := pair[1].([]any)
	if len(fields) < 2 {
		return k, bad
	}
	rest, _ := fields[1].(string)
	rest, k.note = strings.CutPrefix(rest, "~")
	part := strings.SplitN(rest, " ", 4) // at, digest of the predecessor, digest, body
	if _, err := fmt.Sscanf(name, "%d-%d", &k.pos, &k.seq); err != nil || len(part) != 4 {
		return k, bad
	}
	k.at, _ = strconv.ParseInt(part[0], 10, 64)
	k.digest = part[2]
	if k.note {
		return k, nil
	}
	var body struct{ ID, Data string }
	if err := json.Unmarshal([]byte("{"+part[3]+"}"), &body); err != nil {
		return k, err
	}
	k.id, k.data = body.ID, body.Data
	return k, nil
}

func offsetOf(text string) broker.Offset {
	o, _ := broker.ParseOffset(text)
	return o
}

// joined looks at the answer of a member that came back: what Redis holds says whether it is right. m.mu
// is held.
func (w *world) joined(m *member, s *seat, room, since string, a answer) {
	if since == "" || a.Recovered {
		return
	}
	w.mu.Lock()
	w.verdict.unrecovered++
	w.mu.Unlock()
	w.refusedPast(m, room, "not recovered", "came back to "+room+" since "+since, offsetOf(since), a.Offset)
}

// resets looks at a reset in the same way. m.mu is held.
func (w *world) resets(m *member, s *seat, in incoming) {
	if s == nil || s.offset == "" {
		return
	}
	w.refusedPast(m, in.Room, "reset without need", "was at "+s.offset+" in "+in.Room, offsetOf(s.offset), in.Offset)
}

// refusedPast judges an answer by which a member that had all up to since is told that what it missed
// is gone: it must be so, by what Redis holds.
func (w *world) refusedPast(m *member, room, fault, what string, since broker.Offset, now string) {
	h := w.head()
	at := offsetOf(now)
	if h.epoch != since.Epoch || at.Epoch != since.Epoch {
		return
	}
	for _, k := range w.stream(room) {
		if k.is(since) {
			w.fault("%s: %s %s, Redis holds that message and all after it, and it was told that they are gone", fault, m.name, what)
			if at.Pos < since.Pos {
				w.fault("older state: %s %s, and was given %s", m.name, what, now)
			}
			return
		}
	}
}

// checkSeats compares what each member has with what Redis holds, now that all are quiet.
func (w *world) checkSeats() {
	for _, room := range w.rooms {
		stream := w.stream(room)
		w.checkTwice(room, stream)
		notes := w.notes(room)
		for _, m := range w.everybody() {
			m.mu.Lock()
			s := m.inRoom(room)
			var copied seat
			if s != nil {
				copied = *s
			}
			m.mu.Unlock()
			if s != nil {
				w.checkSeat(m, room, copied, stream)
				if !w.evicted {
					w.checkNotes(m, room, copied, stream, notes)
				}
			}
		}
	}
}

// idempotency is how long the promise says that an id is known, at least.
const idempotency = 5 * time.Minute

// checkTwice looks for something that was said once and stands there twice.
func (w *world) checkTwice(room string, stream []kept) {
	first := map[string]kept{}
	for _, k := range stream {
		if k.note {
			continue
		}
		was, twice := first[k.data]
		if twice && !w.evicted && k.at-was.at < idempotency.Milliseconds() {
			w.fault("stored twice: %s stands in %s at %d and at %d", short(k.data), room, was.seq, k.seq)
		}
		first[k.data] = k
	}
}

func (w *world) checkSeat(m *member, room string, s seat, stream []kept) {
	has := map[string]bool{} // by position and digest
	name := func(pos uint64, digest string) string { return fmt.Sprintf("%d %s", pos, digest) }
	for _, h := range s.run {
		o := offsetOf(h.offset)
		has[name(o.Pos, o.Digest)] = true
	}
	in := map[string]bool{}
	full := len(s.run) == maxRun
	for _, k := range stream {
		in[name(k.pos, k.digest)] = true
		w.mu.Lock()
		p := w.byData[k.data]
		w.mu.Unlock()
		if p == nil {
			continue
		}
		if !has[name(k.pos, k.digest)] && p.asked.After(s.since) && (!full || k.seq > s.run[0].seq) {
			w.fault("silent gap: %s is in %s at %s, and has no %s, which stands there at %d", m.name, room, s.offset, short(k.data), k.seq)
			return
		}
	}
	if len(stream) == 0 || w.evicted {
		return
	}
	for _, h := range s.run {
		if o := offsetOf(h.offset); o.Pos >= stream[0].pos && !in[name(o.Pos, o.Digest)] {
			w.fault("silent gap: %s is in %s at %s with %s at %d, which Redis has lost, and was not told", m.name, room, s.offset, h.id, h.seq)
			return
		}
	}
	if last := stream[len(stream)-1]; s.offset != "" && offsetOf(s.offset).Seq > 0 && !last.is(offsetOf(s.offset)) {
		w.fault("silent gap: %s is in %s at %s, which ends with %s at %d", m.name, room, s.offset, short(last.data), last.seq)
	}
}

// acked notes an acknowledgement. m.mu is held.
func (w *world) acked(p *publication, over *node, a answer) {
	w.mu.Lock()
	first := p.acked
	if p.acked.IsZero() || p.offset != a.Offset {
		p.acked, p.over, p.offset = time.Now(), over, a.Offset
	}
	w.mu.Unlock()
	if !first.IsZero() && !a.Duplicate && !w.lossy && !w.evicted && time.Since(first) < idempotency {
		w.fault("stored twice: %s was acknowledged, and stored again %v later", p.name, time.Since(first).Round(time.Millisecond))
	}
}

// checkLost looks for what was acknowledged, is gone, and some members who were there were not told of.
func (w *world) checkLost() {
	if w.evicted || w.plan.ttl < expires {
		return // a room that has no messages may have let them expire
	}
	for _, room := range w.rooms {
		stream := w.stream(room)
		for _, p := range w.said {
			if p.room != room || p.acked.IsZero() || p.over.dead {
				continue
			}
			o := offsetOf(p.offset)
			lost := len(stream) == 0 || o.Pos >= stream[0].pos
			for _, k := range stream {
				lost = lost && !k.is(o) && k.data != p.data
			}
			if lost {
				w.checkTold(p, o)
			}
		}
	}
}

// checkTold: whoever was there when p was acknowledged, in vain, was told of a gap since. That may have
// been before the answer reached its publisher: whoever has begun anew since p was asked for, in an
// epoch that p is not of, was told of all that is lost of the one before.
func (w *world) checkTold(p *publication, at broker.Offset) {
	for _, m := range w.everybody() {
		m.mu.Lock()
		s := m.inRoom(p.room)
		silent := s != nil && s.since.Before(p.acked) && s.joining.Before(p.acked) && !(s.since.After(p.asked) && offsetOf(s.offset).Epoch != at.Epoch)
		m.mu.Unlock()
		if silent {
			w.fault("lost: %s was acknowledged at %s, is gone, and %s, who was there, was not told", p.name, p.offset, m.name)
			return
		}
	}
}

// short names a message by what is no padding.
func short(data string) string { return strings.TrimRight(data, ".") }
