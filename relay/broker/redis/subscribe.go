package redis

import (
	"context"

	"setu/relay/broker"
)

// Subscribe implements broker.Broker: the feed subscribes first, then the history is read, and what
// arrived meanwhile joins it.
func (b *Broker) Subscribe(ctx context.Context, room string, sub broker.Subscriber) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if b.ctx.Err() != nil {
		return nil, broker.ErrClosed
	}
	f := b.feed
	s := &subscription{room: room, sub: sub, loading: true, answer: make(chan tailAnswer, 2)}
	f.mu.Lock()
	if f.phase == disconnected || f.rooms[room] != nil {
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

// begin loads s: its newest page from the client-side cache, if the tail that Redis stated after it
// had taken the subscription shows the page to be fresh.
func (f *feed) begin(ctx context.Context, s *subscription) error {
	page, more, err := f.b.page(ctx, s.room, broker.Offset{}, f.b.cfg.History)
	if err != nil {
		return err
	}
	var t tail
	select {
	case a := <-s.answer:
		if t, err = a.tail, a.err; err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	fits := t.endOf(page)
	for {
		if fits {
			if loaded, err := f.install(s, t, page, more); loaded || err != nil {
				return err
			}
		}
		now, err := f.b.states(ctx, []string{s.room})
		if err != nil {
			return err
		}
		t, page, more, fits = now[0].tail, now[0].page, now[0].more, true
	}
}

// install loads s with the page and what was held since. It is false if that can't be done from
// this page.
//
// What was held becomes part of the snapshot: to deliver it now would bring it behind newer
// messages of other rooms.
func (f *feed) install(s *subscription, t tail, page []broker.Message, more bool) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rooms[s.room] != s {
		return false, broker.ErrUnavailable // the connection went away meanwhile
	}
	held := s.held
	if s.held = (hold{}); held.over {
		return false, nil
	}
	at := t.label(page)
	for _, m := range held.messages {
		if m.Epoch == at.Epoch && m.Pos <= at.Pos {
			continue
		}
		if !m.Follows(at) {
			f.requestCatchUp() // the streams hold it, and what should stand before it
			break
		}
		page, at = append(page, m), m.Offset()
	}
	if over := len(page) - f.b.cfg.History; over > 0 {
		page, more = page[over:], true
	}
	if t.epoch != f.epoch { // the next catch-up learns of it, and loads s again where need be
		f.requestCatchUp()
	}
	s.load(t, page, more, "")
	return true, nil
}

// load gives s a snapshot to go on from. f.mu is held.
func (s *subscription) load(t tail, page []broker.Message, more bool, reason string) {
	s.loading = false
	s.tail, s.tailAt = t.label(page), t.now
	if n := len(page); n > 0 {
		s.tailAt = page[n-1].At
	}
	s.sub.Load(broker.Snapshot{Tail: s.tail, Messages: page, More: more}, reason)
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
