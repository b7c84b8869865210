package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"setu/relay/broker"
)

// annotation is one as clients get it, with its own offset where it came by itself.
type annotation struct {
	Room   string
	Offset string // of the message
	Kind   string
	Value  json.RawMessage
	Count  int
	Rev    uint64
}

// annotations is how they stand, as clients get it.
type annotations struct {
	Rev       uint64
	Reactions map[string]struct{ Count int }
	Deleted   bool
	Edited    *struct{ At int64 }
}

// noted is what a member has of one message that may have been annotated.
type noted struct {
	rev     uint64
	counts  map[string]int
	edited  bool
	deleted bool
	shown   string // what it says
}

func (n noted) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rev %d, %q, edited %t, deleted %t", n.rev, short(n.shown), n.edited, n.deleted)
	for _, value := range slices.Sorted(maps.Keys(n.counts)) {
		fmt.Fprintf(&b, ", %s %d", value, n.counts[value])
	}
	return b.String()
}

// noted is what a message in a list says of itself.
func (in message) noted() noted {
	n := noted{rev: in.Annotations.Rev, counts: map[string]int{}, edited: in.Annotations.Edited != nil, deleted: in.Annotations.Deleted, shown: in.shown}
	for value, r := range in.Annotations.Reactions {
		n.counts[value] = r.Count
	}
	return n
}

// take has n be as it is after an annotation.
func (n *noted) take(a annotation) {
	if a.Rev <= n.rev {
		return
	}
	n.rev = a.Rev
	var value string
	_ = json.Unmarshal(a.Value, &value)
	switch a.Kind {
	case "reaction":
		if n.counts[value] = a.Count; a.Count == 0 {
			delete(n.counts, value)
		}
	case "edit":
		n.edited, n.shown = true, value
	case "delete":
		*n = noted{rev: a.Rev, counts: map[string]int{}, deleted: true}
	}
}

// annotated takes annotations of what a member has.
func (s *seat) annotated(all ...annotation) {
	for _, a := range all {
		if n := s.notes[a.Offset]; n != nil {
			n.take(a)
		}
	}
}

// editMark stands between what was first said and what an edit has added.
const editMark = "#"

// plain gives a message back the data that was said first, by which it is known: what it says now stays
// beside it. Of those that were deleted the id tells.
func (w *world) plain(in *message) {
	in.shown = in.Data
	in.Data = w.first(in.ID, in.Data)
}

func (w *world) first(id, data string) string {
	if data == "" && id != "" {
		return id + strings.Repeat(".", w.plan.pad)
	}
	data, _, _ = strings.Cut(data, editMark)
	return data
}

// said is an annotation that was acknowledged.
type said struct {
	of  *publication
	rev uint64
}

// annotate has a member say something of what was published nth before.
func (w *world) annotate(m *member, nth, what int) {
	if len(w.said) == 0 {
		return
	}
	p := w.said[len(w.said)-1-nth%min(len(w.said), 2*w.plan.history)]
	if what%8 >= 4 {
		m = p.by
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w.mu.Lock()
	acked := !p.acked.IsZero()
	w.mu.Unlock()
	if m.inRoom(p.room) == nil || !acked {
		return
	}
	body := map[string]any{"room": p.room, "offset": p.offset, "kind": "reaction", "value": []string{"+", "-", "?"}[what%3]}
	switch {
	case what%8 == 3:
		body["remove"] = true
	case what%8 == 7 && p.event.Message.ID == p.name:
		delete(body, "value")
		body["kind"] = "delete"
	case what%8 >= 4:
		body["kind"], body["value"] = "edit", p.data+editMark+strconv.Itoa(m.acks)
	}
	over := m.relay.name
	w.mu.Lock()
	w.saidOf = true
	w.mu.Unlock()
	w.j.add(m.name, nil, "says of %s over %s: %v %v", p.name, over, body["kind"], body["remove"] != nil)
	m.ask("annotate", body, func(a answer) {
		if a.OK {
			w.j.add(m.name, nil, "has that acknowledged by %s: %d, at %s", over, a.Rev, a.Offset)
			w.mu.Lock()
			w.annotated = append(w.annotated, said{p, a.Rev})
			w.mu.Unlock()
			return
		}
		w.j.add(m.name, nil, "is refused that: %s", a.Error.Code)
		if !slices.Contains([]string{"unavailable", "gap", "not_joined", "too_large", "rate_limited"}, a.Error.Code) {
			w.fault("annotate: %s was answered %s: %s", m.name, a.Error.Code, a.Error.Message)
		}
	})
}

// notes returns how Redis says that the annotations of a room's messages stand, by the ids of their entries.
func (w *world) notes(room string) map[string]*broker.Notes {
	out := map[string]*broker.Notes{}
	got, err := w.redis.Do("HKEYS", "setu{0}:notes:"+room)
	if err != nil {
		w.fault("the annotations of %s can't be read: %v", room, err)
	}
	list, _ := got.([]any)
	for _, id := range list {
		text, _ := w.redis.Do("HGET", "setu{0}:notes:"+room, id.(string))
		if out[id.(string)], err = broker.ParseNotes(text.(string)); err != nil {
			w.fault("the annotations of %s: %v", room, err)
		}
	}
	return out
}

// noted is what Redis has of a message.
func (k kept) noted(n *broker.Notes) noted {
	out := noted{counts: map[string]int{}, shown: k.shown}
	if n != nil {
		out.rev, out.edited, out.deleted = n.Rev, n.Edited > 0, n.Deleted
		for _, r := range n.Reactions {
			out.counts[r.Value] = r.Count()
		}
	}
	return out
}

// checkNotes compares what a member has of messages with what Redis holds, now that all are quiet.
func (w *world) checkNotes(m *member, room string, s seat, stream []kept, stored map[string]*broker.Notes) {
	for _, k := range stream {
		id := fmt.Sprintf("%d-%d", k.pos, k.seq)
		for _, h := range s.run {
			if k.note || !k.is(offsetOf(h.offset)) {
				continue
			}
			if has, want := s.notes[h.offset].String(), k.noted(stored[id]).String(); has != want {
				w.fault("annotations: %s is in %s at %s and has %s at %d as %s, where Redis has %s", m.name, room, s.offset, h.id, h.seq, has, want)
				return
			}
		}
	}
}

// checkSaid looks for annotations that were acknowledged and are gone, though Redis has lost nothing.
func (w *world) checkSaid() {
	if w.evicted || w.lossy {
		return
	}
	for _, room := range w.rooms {
		stream, stored := w.stream(room), w.notes(room)
		for _, a := range w.annotated {
			i := slices.IndexFunc(stream, func(k kept) bool { return k.is(offsetOf(a.of.offset)) })
			if a.of.room != room || i < 0 {
				continue
			}
			n := stored[fmt.Sprintf("%d-%d", stream[i].pos, stream[i].seq)]
			if n == nil || n.Rev < a.rev {
				w.fault("annotations: number %d of %s was acknowledged, and Redis has %+v", a.rev, a.of.name, n)
				return
			}
		}
	}
}
