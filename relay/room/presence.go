package room

import (
	"context"
	"errors"
	"slices"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// Presence implements broker.Subscriber. Changes go out together with the others of their moment.
func (r *Room) Presence(ch broker.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expectRenamed(ch)
	if ch.Missed {
		r.refresh()
		return
	}
	wasLarge := r.roster.count > MaxMembers
	u, news, renamed := r.roster.hear(ch)
	if wasLarge && ch.Count <= MaxMembers {
		r.refresh() // who was there, and came meanwhile, has not been told one by one
	}
	if renamed {
		r.rename(u)
	}
	if news && r.presenceTimer == nil && !r.closed {
		r.presenceTimer = time.AfterFunc(PresencePause, r.sendChanges)
	}
}

// rename tells the user's connections here what the user is called. r.mu is held.
func (r *Room) rename(u broker.User) {
	for _, m := range r.list {
		if m.member.User().ID == u.ID {
			m.member.Rename(u)
		}
	}
}

// IgnorePresence ends what m asked for by JoinOptions.Presence. It reports whether m had.
func (h *Hub) IgnorePresence(name string, m Member) bool {
	r := h.room(name)
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ms := r.members[m]
	if ms == nil || !ms.presence {
		return false
	}
	r.roster.ask(ms, false)
	return true
}

// IsInvisible reports whether m is in a room invisibly.
func (h *Hub) IsInvisible(name string, m Member) bool {
	return h.isMember(name, m, func(ms *membership) bool { return ms.invisible })
}

// HasPresence reports whether m asked for JoinOptions.Presence in a room.
func (h *Hub) HasPresence(name string, m Member) bool {
	return h.isMember(name, m, func(ms *membership) bool { return ms.presence })
}

// isMember reports whether m is in a room, and how is true of that.
func (h *Hub) isMember(name string, m Member, how func(*membership) bool) bool {
	r := h.room(name)
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ms := r.members[m]
	return ms != nil && how(ms)
}

// sendChanges sends the changes of the last moment to those who asked.
func (r *Room) sendChanges() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.presenceTimer = nil
	net := r.roster.pending.take()
	if r.roster.count > MaxMembers {
		net.renamed, net.moved, net.same = nil, nil, nil // the count alone is told, and has not changed by that
	}
	if r.closed {
		return
	}
	update := func(net netChanges) *presenceUpdate {
		return &presenceUpdate{room: r.quoted, count: r.roster.count, net: net}
	}
	updates := map[audience]*presenceUpdate{ // the list of who is fresh may know of what these changes undid
		{}: update(net), {moves: true}: update(net.withMoves()),
		{fresh: true}: update(net.whole()), {fresh: true, moves: true}: update(net.whole().withMoves()),
	}
	for _, m := range r.list {
		if !m.presence {
			continue
		}
		if u := updates[audience{m.listed >= net.after, m.member.HearsMoves()}]; !u.net.empty() {
			u.send(m.member)
		}
	}
}

// audience is what decides what a member is told of a moment's changes.
type audience struct {
	fresh bool // it was told in between who is there
	moves bool // it is told of places
}

// presenceUpdate is what has changed, for the members that asked.
type presenceUpdate struct {
	room  string // its name as JSON
	count int
	net   netChanges
	all   *engineio.Frame // with all of it; made when the first member takes it
}

// send sends m the update, but not that m's own user came or went: the answer to its join has told
// it, and may come after this frame was made. That its user was renamed is news to m unless it did
// that itself, and then it does no harm.
func (u *presenceUpdate) send(m Member) {
	id := m.User().ID
	own := func(c netChange) bool { return c.id == id }
	if !slices.ContainsFunc(u.net.joined, own) && !slices.ContainsFunc(u.net.left, own) {
		if u.all == nil {
			u.all = u.frame(u.net)
		}
		m.Send(u.all)
		return
	}
	others := netChanges{joined: without(u.net.joined, own), left: without(u.net.left, own), renamed: u.net.renamed}
	if !others.empty() {
		m.Send(u.frame(others))
	}
}

func without(all []netChange, unwanted func(netChange) bool) []netChange {
	return slices.DeleteFunc(slices.Clone(all), unwanted)
}

func (u *presenceUpdate) frame(net netChanges) *engineio.Frame {
	if u.count > MaxMembers {
		net = netChanges{}
	}
	return presenceFrame(u.room, u.count, net)
}

// refresh has those who asked told who is in the room, all of it, after changes were missed.
// r.mu is held.
func (r *Room) refresh() {
	if !r.closed && r.roster.miss() {
		r.hub.opening.Go(r.sendMembers)
	}
}

// refreshPause is how long a refresh waits that could not be made.
const refreshPause = 2 * time.Second

// sendMembers reads who is in the room and sends it. It reads again for as long as changes were
// missed while it read, or the broker can't say.
func (r *Room) sendMembers() {
	for {
		r.mu.Lock()
		reading := r.roster.beginRefresh()
		r.mu.Unlock()
		users, count, err := r.hub.broker.MembersNow(context.Background(), r.name, MaxMembers)
		if r.endRefresh(reading, users, count, err) {
			return
		}
		if err == nil {
			continue
		}
		select {
		case <-time.After(refreshPause):
		case <-r.gone:
			return
		case <-r.hub.drain:
			return
		}
	}
}

// endRefresh sends what was read. It returns false if that has to be read again.
func (r *Room) endRefresh(reading refresh, users []string, count int, err error) (done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !errors.Is(err, broker.ErrClosed) && !errors.Is(err, broker.ErrPartial) { // after which it is said when to read again
		r.roster.miss() // nothing was read
	}
	heard, complete := r.roster.endRefresh(reading)
	if r.closed || err != nil && complete {
		return true
	}
	if !complete {
		return false
	}
	r.roster.counted(count, heard)
	users = r.roster.withLocal(applyChanges(users, heard))
	for _, u := range r.roster.stale(users) {
		r.rename(u)
	}
	r.roster.pending = changes{} // they are in the list, which may know of later ones that were missed
	f, now := membersFrame(r.quoted, r.roster.count, users), time.Now().UnixMilli()
	for _, m := range r.list {
		if m.presence {
			m.member.Send(f)
			m.listed = now
		}
	}
	return true
}
