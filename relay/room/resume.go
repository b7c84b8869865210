package room

import (
	"context"
	"time"

	"setu/relay/broker"
)

// past is what a joining member is told of the time before it joined.
type past struct {
	recovered bool
	messages  List
	older     List          // read from the store: they precede the ring's entry after olderEnd
	olderEnd  broker.Offset // the last of older; zero if there are none
	settled   bool          // Since has been judged for good, whatever the ring holds by now
}

// past does the part of a join that takes I/O or waiting: it reads messages older than the ring
// has, and waits for one that another relay has seen already.
func (r *Room) past(ctx context.Context, o JoinOptions) past {
	if o.HasSince {
		v := r.judge(o.Since)
		if v == ahead {
			v = r.await(ctx, o.Since)
		}
		switch v {
		case covered:
			return past{recovered: true}
		case older:
			if p, ok := r.readSince(ctx, o.Since); ok {
				return p
			}
		}
	}
	return r.readLast(ctx, o.History)
}

func (r *Room) judge(o broker.Offset) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.ring.expire(now)
	_, v := r.ring.since(o, now)
	return v
}

// await waits until the ring has reached o, which a member brings from a relay that was a moment
// ahead.
func (r *Room) await(ctx context.Context, o broker.Offset) verdict {
	ctx, cancel := context.WithTimeout(ctx, aheadPause)
	defer cancel()
	for {
		r.mu.Lock()
		_, v := r.ring.since(o, time.Now())
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		if v != ahead {
			return v
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return lost
		}
	}
}

// oldest is where the ring begins, and reading older messages ends.
func (r *Room) oldest() broker.Offset {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring.entries) == 0 {
		return r.ring.tail
	}
	return r.ring.entries[0].Offset
}

// readSince reads backwards from the ring to o. It returns false if the store does not reach that
// far, or holds another history.
func (r *Room) readSince(ctx context.Context, o broker.Offset) (past, bool) {
	before := r.oldest()
	p := past{recovered: true, settled: true}
	size := 0
	for len(p.older) < r.hub.history && size < MaxReplay {
		page, more, err := r.hub.broker.History(ctx, r.name, before, r.hub.history-len(p.older))
		if err != nil || len(page) == 0 {
			return past{}, false
		}
		if p.olderEnd.IsZero() {
			p.olderEnd = page[len(page)-1].Offset()
		}
		at := len(page)
		for at > 0 && page[at-1].Pos > o.Pos {
			at--
		}
		p.older = append(encodeAll(r.quoted, page[at:]), p.older...)
		size = p.older.weight()
		if at > 0 { // page[at-1] is at or before o
			found := page[at-1]
			return p, o.Seq == 0 || found.Seq == o.Seq && found.Digest == o.Digest
		}
		first := page[0]
		if o.Seq > 0 && first.Seq == o.Seq+1 && first.Prev == o.Digest {
			return p, true // o itself may have been trimmed
		}
		if !more {
			return p, o.Seq == 0 && first.Seq == 1 && time.Now().UnixMilli() < o.At+r.hub.ttl.Milliseconds()
		}
		before = first.Offset()
	}
	return past{}, false
}

// readLast reads those of the newest n messages that the ring lacks.
func (r *Room) readLast(ctx context.Context, n int) past {
	r.mu.Lock()
	r.ring.expire(time.Now())
	newest, short := r.ring.last(n)
	r.mu.Unlock()
	p := past{settled: true}
	lacking, more := n-len(newest), short
	for before := r.oldest(); more && len(p.older) < lacking && p.older.weight() < MaxReplay; {
		var page []broker.Message
		var err error
		page, more, err = r.hub.broker.History(ctx, r.name, before, lacking-len(p.older))
		if err != nil || len(page) == 0 {
			break // the store can't be read: what is here is the answer
		}
		if p.olderEnd.IsZero() {
			p.olderEnd = page[len(page)-1].Offset()
		}
		p.older = append(encodeAll(r.quoted, page), p.older...)
		before = page[0].Offset()
	}
	return p
}

// complete joins what was read with what the ring holds now. r.mu is held, so that what is sent
// next continues it.
func (r *Room) complete(p past, o JoinOptions) past {
	now := time.Now()
	r.ring.expire(now)
	if p.recovered && !p.settled {
		missed, v := r.ring.since(o.Since, now)
		p.messages, p.recovered = list(missed), v == covered
	}
	if !p.olderEnd.IsZero() {
		if rest, v := r.ring.since(p.olderEnd, now); v == covered {
			p.messages = append(p.older, list(rest)...)
		} else {
			p.recovered, p.older = false, nil // the ring moved past what was read
		}
	}
	if p.recovered {
		kept := p.messages.light()
		if !o.Replay {
			kept = p.messages.fit()
		}
		if len(kept) == len(p.messages) {
			return p
		}
		if p.recovered = false; o.History == 0 && !o.Replay {
			p.messages = kept // the newest of what was missed
			return p
		}
	}
	if newest, _ := r.ring.last(o.History); len(newest) > len(p.messages) {
		p.messages = list(newest)
	}
	p.messages = p.messages[max(0, len(p.messages)-o.History):].fit()
	return p
}
