package redis

import (
	"context"
	"time"

	"setu/relay/broker"
)

// Subscribe implements broker.Broker: the feed subscribes first, then the history is read, and what
// arrived meanwhile joins it.
func (b *Broker) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if b.ctx.Err() != nil {
		return nil, broker.ErrClosed
	}
	f := b.feed
	s := &subscription{room: room, sub: sub, list: list, loading: true, answer: make(chan stateAnswer, 2)}
	f.mu.Lock()
	if f.phase == disconnected || f.barred != nil || f.rooms[room] != nil {
		f.mu.Unlock()
		return nil, broker.ErrUnavailable
	}
	f.rooms[room] = s
	f.joining = append(f.joining, s)
	f.mu.Unlock()
	nudge(f.wake)

	if err := f.begin(ctx, s); err != nil {
		f.remove(s)
		return nil, unavailable(err)
	}
	return func() { f.remove(s) }, nil
}

// remove ends s: once it has returned, s.sub is not called any more.
func (f *feed) remove(s *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rooms[s.room] != s {
		return
	}
	delete(f.rooms, s.room)
	f.leaving = append(f.leaving, s.room) // while the feed is down these are at most the rooms that it had
	nudge(f.wake)
}

// begin loads s with how the room stood right after Redis had taken the subscription.
func (f *feed) begin(ctx context.Context, s *subscription) error {
	for {
		var a stateAnswer
		select {
		case a = <-s.answer:
		case <-ctx.Done():
			return ctx.Err()
		}
		if a.err != nil {
			return a.err
		}
		if loaded, err := f.install(s, a.now); loaded || err != nil {
			return err
		}
	}
}

// install loads s with a state and what was held since. If too much was held, or the state is of no
// epoch or of one that is to be left, it asks for it once more and returns false.
//
// What was held becomes part of the snapshot: to deliver it now would bring it behind newer
// messages of other rooms.
func (f *feed) install(s *subscription, now state) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rooms[s.room] != s {
		return false, broker.ErrUnavailable // the connection went away meanwhile
	}
	held := s.held
	s.held = hold{}
	if now.tail.epoch == "" { // all is gone, and nobody has begun anew
		f.requestCatchUp()
	}
	top := topOf([]found{{entries: now.page}})
	isBeyond := now.tail.epoch == f.epoch && top > now.tail.pos
	if isBeyond { // then the next catch-up moves the epoch on
		f.pos = max(f.pos, top)
		f.requestCatchUp()
	}
	isLeft := f.isFormer(now.tail.epoch) // likewise
	if isLeft {
		f.requestCatchUp()
	}
	if held.over || now.tail.epoch == "" || isBeyond || isLeft {
		f.joining = append(f.joining, s)
		nudge(f.wake)
		return false, nil
	}
	at := now.tail.label(now.page)
	for _, h := range held.messages {
		m := h.m
		if m.Epoch == at.Epoch && m.Pos <= at.Pos || f.isFormer(m.Epoch) {
			continue
		}
		if !m.Follows(at) {
			f.held.add(m)
			f.requestCatchUp() // the streams hold it, and what should stand before it
			continue
		}
		now.page, at = append(now.page, m), m.Offset()
		switch {
		case m.Note != nil:
			now.big = annotated
		case len(m.Body) >= largeBody:
			now.big = max(now.big, m.Seq)
		}
	}
	now.page, now.more = newest(now.page, f.b.cfg.History, now.more)
	if now.tail.epoch != f.epoch { // the next catch-up learns of it, and loads s again where need be
		f.requestCatchUp()
	}
	s.load(now, "")
	s.tellHeard()
	return true, nil
}

// load gives s a snapshot to go on from. f.mu is held.
func (s *subscription) load(now state, reason string) {
	s.loading = false
	s.tail, s.tailAt, s.big = now.tail.label(now.page), now.tail.now, now.big
	if n := len(now.page); n > 0 {
		s.tailAt = now.page[n-1].At
	}
	s.recent = recent{}
	for _, m := range now.page[max(0, len(now.page)-recentMessages):] {
		s.recent.add(m)
	}
	age := time.Duration(max(0, now.tail.now-s.tailAt)) * time.Millisecond // what was held came after the reading
	s.sub.Load(broker.Snapshot{Tail: s.tail, Messages: now.page, More: now.more, Age: age, Count: now.count, Members: now.members, Partial: now.partial}, reason)
}

// tellHeard brings the changes of who is there that were pushed while the room was loaded. f.mu is held.
func (s *subscription) tellHeard() {
	for _, ch := range s.heard {
		s.sub.Presence(ch)
	}
	if len(s.heard) == maxHeard {
		s.sub.Presence(broker.Change{Missed: true})
	}
	s.heard = nil
}

// label states the epoch on the page's messages, and returns where the page ends.
func (t tail) label(page []broker.Message) broker.Offset {
	for i := range page {
		page[i].Epoch = t.epoch
	}
	if n := len(page); n > 0 {
		return page[n-1].Offset()
	}
	return broker.Offset{Epoch: t.epoch, Pos: t.pos, At: t.now}
}
