package room

import (
	"context"
	"slices"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// Presence implements broker.Subscriber. Changes go out together with the others of their moment.
func (r *Room) Presence(ch broker.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch.Missed {
		r.refresh()
		return
	}
	if r.roster.hear(ch) && r.presenceTimer == nil && !r.closed {
		r.presenceTimer = time.AfterFunc(PresencePause, r.sendChanges)
	}
}

// sendChanges sends the changes of the last moment to those who asked.
func (r *Room) sendChanges() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.presenceTimer = nil
	joined, left := r.roster.pending.take()
	if r.closed || len(joined)+len(left) == 0 {
		return
	}
	u := presenceUpdate{room: r.quoted, count: r.roster.count, joined: joined, left: left}
	for _, m := range r.list {
		if m.presence {
			u.send(m.member)
		}
	}
}

// presenceUpdate is what has changed, for the members that asked.
type presenceUpdate struct {
	room         string // its name as JSON
	count        int
	joined, left []netChange
	all          *engineio.Frame // with all of it; made when the first member takes it
}

// send sends m the update without what concerns m's own user: the answer to its join has told it,
// and may come after this frame was made.
func (u *presenceUpdate) send(m Member) {
	id := m.User().ID
	own := func(c netChange) bool { return c.id == id }
	switch {
	case !slices.ContainsFunc(u.joined, own) && !slices.ContainsFunc(u.left, own):
		if u.all == nil {
			u.all = u.frame(u.joined, u.left)
		}
		m.Send(u.all)
	case len(u.joined)+len(u.left) > 1:
		m.Send(u.frame(without(u.joined, own), without(u.left, own)))
	}
}

func without(all []netChange, unwanted func(netChange) bool) []netChange {
	return slices.DeleteFunc(slices.Clone(all), unwanted)
}

func (u *presenceUpdate) frame(joined, left []netChange) *engineio.Frame {
	if u.count > MaxMembers {
		joined, left = nil, nil
	}
	return presenceFrame(u.room, u.count, joined, left)
}

// refresh has those who asked told who is in the room, all of it, after changes were missed.
// r.mu is held.
func (r *Room) refresh() {
	if !r.closed && r.roster.miss() {
		r.hub.opening.Go(r.sendMembers)
	}
}

// sendMembers reads who is in the room and sends it. It reads again for as long as changes were
// missed while it read.
func (r *Room) sendMembers() {
	for {
		r.mu.Lock()
		reading := r.roster.beginRefresh()
		r.mu.Unlock()
		users, count, err := r.hub.broker.Members(context.Background(), r.name, MaxMembers)
		if r.endRefresh(reading, users, count, err) {
			return
		}
	}
}

// endRefresh sends what was read. It returns false if that has to be read again.
func (r *Room) endRefresh(reading refresh, users []string, count int, err error) (done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard, complete := r.roster.endRefresh(reading)
	if !complete {
		return false
	}
	if err != nil || r.closed {
		return true // the broker went away again, and reports missed changes when it is back
	}
	r.roster.counted(count, heard)
	f := membersFrame(r.quoted, r.roster.count, applyChanges(users, heard))
	for _, m := range r.list {
		if m.presence {
			m.member.Send(f)
		}
	}
	return true
}
