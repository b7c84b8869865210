package room

import (
	"context"
	"slices"
	"sync"

	"setu/relay/broker"
)

// first is what the broker is told of a room's first member, and what it says of who is there, while
// the room is being opened: so a join of a room that nobody is in on this relay takes one trip to the
// store.
type first struct {
	// immutable after tell
	user      broker.User
	invisible bool
	withheld  bool          // the broker is not told of the user until it is known whether there is a place
	upTo      broker.Offset // up to which Save was told that the member has all; zero if it was not

	told  sync.WaitGroup // of the broker: that the user is here, and what Save says
	count int            // written before told is done: users of the room then; 0 if that is not known

	// guarded by Room.mu
	loaded  bool
	users   []string // as the room was opened; nil if too many, or not asked for
	total   int      // how many there were
	partial bool     // some may be missing of them
	from    mark     // what was heard since
}

// tell tells the broker that the user is here, and has the membership saved. Where the room will
// stand is not known yet; but all messages of a moment that has passed will be in it. A member that
// comes back with a message from beyond that moment, to a relay that is behind, has all up to it.
func (f *first) tell(ctx context.Context, r *Room, o JoinOptions) {
	b := r.hub.broker
	f.invisible, f.withheld = o.Invisible, r.hub.most > 0
	if at := b.Head(); o.Save != nil && !at.IsZero() {
		if s := o.Since; s.Seq > 0 && s.Epoch == at.Epoch && s.Pos > at.Pos {
			at = s
		}
		f.upTo = at
		f.told.Go(func() { _ = o.Save(ctx, at) })
	}
	if o.Invisible || f.withheld {
		return
	}
	f.told.Go(func() {
		if count, err := b.Enter(ctx, r.name, f.user); err == nil {
			f.count = count
		}
	})
}

// load takes what the room's first snapshot says of who is there. Room.mu is held.
func (f *first) load(s broker.Snapshot, from mark) {
	f.loaded, f.users, f.total, f.partial, f.from = true, s.Members, s.Count, s.Partial, from
}

// admitted ends the wait of r's first member. It returns from where the changes that were heard are to
// be added to what is known of who is there: from is that of a reading that begins now. r.mu is held.
func (f *first) admitted(r *Room, from mark) mark {
	r.first = nil
	if !f.loaded {
		return from
	}
	r.roster.log.end(from)
	return f.from
}

// giveUp takes back what was told of a member that does not become one.
func (f *first) giveUp(r *Room) {
	r.mu.Lock()
	r.first = nil
	if f.loaded {
		r.roster.log.end(f.from)
	}
	r.mu.Unlock()
	f.told.Wait()
	if f.invisible || f.withheld {
		return
	}
	if _, here := r.hub.lookup(r.name, f.user.ID); !here && !r.hub.isDraining() {
		r.hub.announceLeave(r.name, f.user.ID)
	}
}

// announce is Room.announce for a member of whom the broker has been told already.
func (f *first) announce(ctx context.Context, text string, o JoinOptions, at broker.Offset) (count int, users []string, partial bool) {
	f.told.Wait()
	if o.Save != nil {
		f.save(ctx, o, at)
	}
	if !o.Presence {
		return max(f.count, f.total), nil, false
	}
	count = f.total
	if f.users == nil && count > 0 { // too many to list
		return max(f.count, count), nil, f.partial
	}
	if users = f.users; !o.Invisible && !slices.ContainsFunc(users, hasID(f.user.ID)) {
		count++
		users = withUser(users, f.user.ID, text)
	}
	if len(users) > MaxMembers {
		users = nil
	}
	return count, users, f.partial
}

// save has it recorded where the member begins. What was recorded before is as good if no message of
// the room lies between; but a message proves more than a moment, so it is put in its place, for which
// nobody has to wait.
func (f *first) save(ctx context.Context, o JoinOptions, at broker.Offset) {
	if f.upTo == at {
		return
	}
	if f.upTo.Seq == 0 && f.upTo.Epoch == at.Epoch && (at.Seq == 0 || at.Pos <= f.upTo.Pos) {
		if at.Seq == 0 {
			return
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	_ = o.Save(ctx, at)
}
