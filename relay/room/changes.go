package room

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// changes are the joins and leaves of the last moment, net of those that undo each other. Guarded by Room.mu.
type changes struct {
	timer  *time.Timer
	closed bool
	order  []string // ids, as they came
	by     map[string]change
}

type change struct {
	joined bool
	user   string
}

func (c *changes) stop() {
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// add notes a change; a user who left and came back in the same moment did neither.
func (c *changes) add(id string, ch change) {
	if c.by == nil {
		c.by = map[string]change{}
	}
	was, noted := c.by[id]
	switch {
	case noted && was.joined != ch.joined:
		delete(c.by, id)
	case !noted:
		c.order = append(c.order, id)
		fallthrough
	default:
		c.by[id] = ch
	}
}

// noted is a user of whom something changed.
type noted struct{ id, user string }

func texts(all []noted) []string {
	out := make([]string, len(all))
	for i, n := range all {
		out[i] = n.user
	}
	return out
}

func (c *changes) take() (joined, left []noted) {
	for _, id := range c.order {
		ch, ok := c.by[id]
		if !ok {
			continue
		}
		delete(c.by, id)
		if ch.joined {
			joined = append(joined, noted{id, ch.user})
		} else {
			left = append(left, noted{id, ch.user})
		}
	}
	c.order, c.by = nil, nil
	return joined, left
}

// Presence implements broker.Subscriber.
func (r *Room) Presence(ch broker.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch.Missed {
		r.refresh()
		return
	}
	r.count = ch.Count
	if r.joining > 0 {
		r.heard = append(r.heard, ch)
	}
	if r.asking == 0 {
		return
	}
	var u broker.User
	if json.Unmarshal([]byte(ch.User), &u) != nil {
		return // no relay writes this
	}
	r.changes.add(u.ID, change{ch.Joined, ch.User})
	if r.changes.timer == nil && !r.changes.closed {
		r.changes.timer = time.AfterFunc(PresencePause, r.tellChanges)
	}
}

// tellChanges sends the changes of the last moment to those who asked.
func (r *Room) tellChanges() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes.timer = nil
	joined, left := r.changes.take()
	if r.closed || len(joined)+len(left) == 0 {
		return
	}
	n := news{room: r.quoted, count: r.count, joined: joined, left: left}
	for _, m := range r.list {
		if m.presence {
			n.tell(m.member)
		}
	}
}

// news is what has changed, for those who want to know.
type news struct {
	room         string
	count        int
	joined, left []noted
	all          *engineio.Frame // made when somebody wants it
}

// tell sends m the news, but for those of himself: the answer to his join has told him, and it may come before them.
func (n *news) tell(m Member) {
	id := m.User().ID
	own := func(c noted) bool { return c.id == id }
	switch {
	case !slices.ContainsFunc(n.joined, own) && !slices.ContainsFunc(n.left, own):
		if n.all == nil {
			n.all = n.frame(n.joined, n.left)
		}
		m.Send(n.all)
	case len(n.joined)+len(n.left) > 1:
		m.Send(n.frame(slices.DeleteFunc(slices.Clone(n.joined), own), slices.DeleteFunc(slices.Clone(n.left), own)))
	}
}

func (n *news) frame(joined, left []noted) *engineio.Frame {
	if n.count > MaxMembers {
		joined, left = nil, nil
	}
	return presenceFrame(n.room, n.count, texts(joined), texts(left))
}

// refresh tells those who asked who is here, all of it, after changes went by unheard. r.mu is held.
func (r *Room) refresh() {
	if r.asking == 0 || r.closed {
		return
	}
	if r.stale++; r.stale == 1 {
		r.hub.opening.Go(r.tellMembers)
	}
}

// tellMembers reads and tells until no change has gone by unheard since it began to read.
func (r *Room) tellMembers() {
	for {
		from, asked := r.listen(), r.staleness()
		members, count, err := r.hub.broker.Members(context.Background(), r.name, MaxMembers)
		if r.tellAll(from, asked, members, count, err) {
			return
		}
	}
}

func (r *Room) staleness() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale
}

// tellAll tells what was read; it is false where it has to be read again.
func (r *Room) tellAll(from, asked int, members []string, count int, err error) (done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := r.unlisten(from)
	if done = r.stale == asked; !done {
		return false
	}
	r.stale = 0
	if err != nil || r.closed {
		return true // the broker went away again, and says so again when it is back
	}
	if len(heard) == 0 {
		r.count = count
	}
	f := membersFrame(r.quoted, r.count, amend(members, heard))
	for _, m := range r.list {
		if m.presence {
			m.member.Send(f)
		}
	}
	return true
}

// membersFrame is a presence event that lists everybody; of a large room it tells the count alone.
func membersFrame(room string, count int, members []string) *engineio.Frame {
	return engineio.NewFrame(256, func(dst []byte) []byte {
		dst = append(append(dst, event+`["presence",{"room":`...), room...)
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
		if members != nil {
			dst = raws(append(dst, `,"members":`...), members)
		}
		return append(dst, `}]`...)
	})
}

func presenceFrame(room string, count int, joined, left []string) *engineio.Frame {
	return engineio.NewFrame(256, func(dst []byte) []byte {
		dst = append(append(dst, event+`["presence",{"room":`...), room...)
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
		if len(joined) > 0 {
			dst = raws(append(dst, `,"joined":`...), joined)
		}
		if len(left) > 0 {
			dst = raws(append(dst, `,"left":`...), left)
		}
		return append(dst, `}]`...)
	})
}

// Reset is the tag of a frame that tells a member of a gap in a room, and that the room stands at Tail now.
type Reset struct {
	Room string
	Tail broker.Offset
}

func resetFrame(room, reason string, tail broker.Offset, messages List, count int) *engineio.Frame {
	attachments := messages.Attachments()
	return engineio.NewFrame(messages.Size()+256, func(dst []byte) []byte {
		dst = append(append(appendEvent(dst, len(attachments)), `["reset",{"room":`...), room...)
		dst = append(append(append(dst, `,"recovered":false,"reason":"`...), reason...), `","offset":"`...)
		dst = messages.Append(append(tail.Append(dst), `","messages":`...))
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
		return append(tail.Append(append(dst, `},"`...)), `"]`...)
	}, attachments...)
}
