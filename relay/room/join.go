package room

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"setu/relay/broker"
)

// join makes m a member; the caller's reference becomes the membership's. It reads the past first,
// makes m a member at one point of the room's order, and then tells the store of the user and of
// the session's membership at the same time; of a room's first member, f, it has told already.
func (r *Room) join(ctx context.Context, m Member, o JoinOptions, f *first, reply func(Joined)) error {
	err := r.checkPlace(ctx, m, o)
	var past past
	if err == nil {
		past, err = r.lockedPast(ctx, o)
	}
	if err != nil {
		if f != nil {
			f.giveUp(r)
		}
		r.release()
		return err
	}
	j := r.state(past, o, m)
	u, text, again := r.admit(m, o.Invisible)
	o.known = o.Again && again || !o.Invisible && !again && r.isBack(u.ID, text)
	o.Invisible = r.members[m].invisible
	from := r.roster.log.begin()
	if f != nil {
		from = f.admitted(r, from)
	}
	r.mu.Unlock()

	count, users, partial := r.announce(ctx, u, text, o, f, j.Offset)

	r.mu.Lock()
	heard, whole := r.roster.log.end(from)
	if err := ctx.Err(); err != nil { // nobody waits for the answer
		r.mu.Unlock()
		if !again {
			r.leave(m, false)
		}
		return err
	}
	defer r.mu.Unlock()
	if count > 0 {
		r.roster.counted(count, heard)
	}
	if r.isOver(count, again, o) {
		r.mu.Unlock()
		r.leave(m, false)
		r.mu.Lock() // for the deferred unlock
		return ErrFull
	}
	if again { // frames of the room have gone out since, ahead of this answer
		j = r.state(past, o, m)
	}
	j.Count, j.Members, j.Partial = r.roster.total(), r.roster.withLocal(applyChanges(users, heard)), partial
	r.roster.ask(r.members[m], o.Presence || o.Again && r.members[m].presence)
	if o.Presence {
		r.members[m].listed = time.Now().UnixMilli()
	}
	reply(j)
	if !whole || partial {
		r.refresh()
	}
	return nil
}

// checkPlace returns ErrFull if the room has no place for m's user: then nobody hears that the user came and
// left. Of users who enter at one moment isOver finds out.
func (r *Room) checkPlace(ctx context.Context, m Member, o JoinOptions) error {
	id := m.User().ID
	r.mu.Lock()
	_, here := r.roster.lookup(id)
	mayBe := r.hub.most > 0 && r.roster.count >= r.hub.most && !here && r.members[m] == nil && !o.Invisible && !o.Replay
	r.mu.Unlock()
	if !mayBe {
		return nil
	}
	users, count, err := r.hub.broker.MembersNow(ctx, r.name, MaxMembers)
	if err != nil || count < r.hub.most || users == nil && count > 0 || slices.ContainsFunc(users, hasID(id)) {
		return nil
	}
	return ErrFull
}

// isOver reports whether a room that has so many users has no place for one more. Who resumes a session
// has had a place, and who is invisible takes none.
func (r *Room) isOver(count int, again bool, o JoinOptions) bool {
	return r.hub.most > 0 && count > r.hub.most && !again && !o.Replay && !o.Invisible
}

// pastTries is how often the past is read if the room's messages overtake that.
const pastTries = 3

// lockedPast returns what m missed, and takes r.mu if it succeeds: with it held, what was read goes on
// with what the ring holds.
func (r *Room) lockedPast(ctx context.Context, o JoinOptions) (past, error) {
	for range pastTries {
		p, err := r.past(ctx, o)
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return p, err
		}
		r.mu.Lock()
		if !r.overtook(p) {
			return p, nil
		}
		r.mu.Unlock()
	}
	return past{}, broker.ErrUnavailable
}

// state is how the room stands for m, which enters it now. What m was not to hear it has not missed.
// r.mu is held.
func (r *Room) state(p past, o JoinOptions, m Member) Joined {
	if p = r.complete(p, o); p.recovered {
		p.messages = p.messages.without(m.ID())
	}
	j := Joined{Offset: r.ring.tail, Recovered: p.recovered, Messages: p.messages.messages().For(m.User().ID), Notes: p.messages.notes()}
	if p.recovered && len(p.messages) == 0 && o.Since.Pos > j.Offset.Pos && !o.Vouched {
		j.Offset = o.Since // the room's last message had expired by then
	}
	return j
}

// admit makes m a member, or lets it stay one; the caller's reference becomes the membership's.
// It returns m's user, who may be renamed until r.mu is held, and reports whether m was a member
// already. r.mu is held.
func (r *Room) admit(m Member, invisible bool) (u broker.User, text string, again bool) {
	u = m.User()
	text = u.Text()
	was := r.members[m]
	if again = was != nil; again {
		invisible = was.invisible
	}
	if !invisible {
		r.roster.enter(u, text, again)
	}
	if again {
		r.refs-- // the membership has one
		return u, text, true
	}
	ms := &membership{member: m, at: len(r.list), invisible: invisible}
	r.members[m] = ms
	r.list = append(r.list, ms)
	r.sinks = append(r.sinks, m)
	return u, text, false
}

// announce tells the broker that the user is here, and has the membership saved meanwhile.
func (r *Room) announce(ctx context.Context, u broker.User, text string, o JoinOptions, f *first,
	at broker.Offset) (count int, users []string, partial bool) {
	if f != nil {
		if count, users, partial = f.announce(ctx, text, o, at); f.user == u && !f.withheld {
			return count, users, partial
		}
		o.Save = nil // it has been; the user has another name by now, or was not told of
	}
	var saving sync.WaitGroup
	if o.Save != nil {
		saving.Go(func() { _ = o.Save(ctx, at) }) // the broker makes it good
	}
	count, users, partial = r.enter(ctx, u, text, o)
	saving.Wait()
	return count, users, partial
}

// enter tells the broker that the user is here, unless the member is invisible, and reads, if it is
// asked for, who else is. If the broker can't answer, this relay's own users are the answer, which may
// be part of them: a live room can be joined without it.
func (r *Room) enter(ctx context.Context, u broker.User, text string, o JoinOptions) (count int, users []string, partial bool) {
	var entering sync.WaitGroup
	var entered error
	enter := func() {
		if !o.Invisible && !o.known {
			count, entered = r.hub.broker.Enter(ctx, r.name, u)
		}
		if entered != nil {
			count = 0
		}
	}
	if !o.Presence {
		enter()
		return count, nil, false
	}
	entering.Go(enter)
	users, n, err := r.hub.broker.MembersNow(ctx, r.name, MaxMembers) // at the same time: what it does not show yet is heard
	entering.Wait()
	if err != nil && !errors.Is(err, broker.ErrPartial) {
		users, n = r.localUsers()
	}
	if users == nil && n > 0 {
		return max(count, n), nil, err != nil // too many to list
	}
	if !o.Invisible {
		users = withUser(users, u.ID, text)
	}
	if len(users) > MaxMembers {
		return max(count, len(users)), nil, err != nil
	}
	return max(count, len(users)), users, err != nil
}

// leave takes m out of the room, and announces that its user has left, after a grace if they are expected
// back. It does nothing if m is not a member.
func (r *Room) leave(m Member, isExpected bool) {
	id := m.User().ID
	r.mu.Lock()
	ms := r.members[m]
	if ms == nil {
		r.mu.Unlock()
		return
	}
	r.remove(ms)
	text, last := "", false
	if !ms.invisible {
		text, last = r.roster.leave(id)
	}
	if last && isExpected && !r.hub.isDraining() {
		one := r.expect(id, text)
		r.mu.Unlock()
		if r.hub.graces.add(one) {
			r.hub.opening.Go(r.hub.endGraces)
		}
		return
	}
	r.mu.Unlock()
	if last && !r.hub.isDraining() {
		r.hub.announceLeave(r.name, id)
	}
	r.release()
}

// remove ends a membership. r.mu is held.
func (r *Room) remove(ms *membership) {
	delete(r.members, ms.member)
	r.roster.ask(ms, false)
	end := len(r.list) - 1
	r.list[ms.at] = r.list[end]
	r.list[ms.at].at = ms.at
	r.list[end] = nil
	r.list = r.list[:end]
	r.sinks[ms.at] = r.sinks[end]
	r.sinks[end] = nil
	r.sinks = r.sinks[:end]
}

// announceLeave tells the broker that a user has left. The user's next connection may enter
// meanwhile, and leave again: whoever spoke to the broker last looks again, so that the broker
// agrees in the end with who is here.
func (h *Hub) announceLeave(name, id string) {
	for {
		h.broker.Leave(name, id)
		u, back := h.lookup(name, id)
		if !back {
			return
		}
		// An error needs no answer: the broker makes the entry good when its store is back.
		_, _ = h.broker.Enter(context.Background(), name, u)
		if _, still := h.lookup(name, id); still {
			return
		}
	}
}

// lookup returns a user that is in a room on this relay, or about to be its first.
func (h *Hub) lookup(name, id string) (u broker.User, here bool) {
	found, ok := h.rooms.Load(name)
	if !ok {
		return broker.User{}, false
	}
	return found.(*Room).lookup(id)
}

func (r *Room) lookup(id string) (u broker.User, here bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u, here = r.roster.lookup(id); !here && r.first != nil && r.first.user.ID == id && !r.first.invisible && !r.first.withheld {
		return r.first.user, true
	}
	return u, here
}

func (r *Room) localUsers() (users []string, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roster.localUsers()
}
