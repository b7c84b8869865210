package room

import (
	"context"
	"errors"
	"math"
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
// has, and waits for one that another relay has seen already. It fails if it can't be known what the
// member has missed: this relay is behind, or the store does not answer.
func (r *Room) past(ctx context.Context, o JoinOptions) (past, error) {
	if !o.HasSince {
		return r.readLast(ctx, o.History), nil
	}
	v := r.judge(o)
	if v == ahead {
		var err error
		if v, err = r.await(ctx, o); err != nil {
			return past{}, err
		}
	}
	p := past{recovered: true}
	if v == older {
		var err error
		if p, v, err = r.readSince(ctx, o); err != nil {
			return past{}, err
		}
	}
	if v == covered {
		return p, nil
	}
	if v == lost && o.Since.Seq > 0 {
		if err := r.confirm(ctx, o.Since.Epoch); err != nil {
			return past{}, err
		}
	}
	return r.readLast(ctx, o.History), nil
}

// confirm has the store asked where it stands, when what is here is not the history that a member
// knows: the store may have lost that and have taken other messages since, of which another relay has
// told its members that they are the next epoch's. Then they are here, too, when it returns.
func (r *Room) confirm(ctx context.Context, epoch string) error {
	ctx, cancel := context.WithTimeout(ctx, aheadPause)
	defer cancel()
	err := r.hub.broker.Reach(ctx, broker.Offset{Epoch: epoch, Pos: math.MaxInt64}) // which no message has
	if errors.Is(err, broker.ErrGap) {
		return nil
	}
	return err
}

func (r *Room) judge(o JoinOptions) verdict {
	r.mu.Lock()
	now := time.Now()
	r.ring.expire(now)
	_, v := r.ring.since(o.Since, o.Vouched, now)
	r.mu.Unlock()
	if v != ahead && o.Since.Seq == 0 && r.hub.broker.Head().Pos < o.Since.Pos {
		return ahead // what came up to that moment may not be here yet
	}
	return v
}

// await waits until this relay has what a member brings the offset of, from a relay that was a moment
// ahead. If the store says that it does not know it, it is lost.
func (r *Room) await(ctx context.Context, o JoinOptions) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, aheadPause)
	defer cancel()
	switch err := r.hub.broker.Reach(ctx, o.Since); {
	case errors.Is(err, broker.ErrGap):
		return gone, nil
	case err != nil:
		return ahead, err
	}
	if v := r.judge(o); v != ahead {
		return v, nil
	}
	return lost, nil // it is not of this room
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

// readSince reads backwards from the ring to where the member was. It returns older if the store does
// not reach that far, lost if it holds another history, and an error if it can't be read.
func (r *Room) readSince(ctx context.Context, options JoinOptions) (p past, v verdict, err error) {
	o, before := options.Since, r.oldest()
	p = past{recovered: true, settled: true}
	size, messages := 0, 0
	for messages < r.hub.history && size < MaxReplay {
		page, more, err := r.hub.broker.History(ctx, r.name, before, r.hub.history-messages)
		if errors.Is(err, broker.ErrGap) {
			return past{}, lost, nil
		}
		if err != nil || len(page) == 0 {
			return past{}, older, err
		}
		if p.olderEnd.IsZero() {
			p.olderEnd = page[len(page)-1].Offset()
		}
		at := len(page)
		for at > 0 && page[at-1].Pos > o.Pos {
			at--
		}
		p.older = append(r.hub.encodeAll(r.quoted, page[at:]), p.older...)
		size, messages = p.older.weight(), len(p.older.messages())
		if at > 0 { // page[at-1] is at or before o
			found := page[at-1]
			if options.Vouched && o.Seq == 0 || found.Seq == o.Seq && found.Digest == o.Digest {
				return p, covered, nil
			}
			return past{}, lost, nil
		}
		first := page[0]
		if o.Seq > 0 && first.Seq == o.Seq+1 && first.Prev == o.Digest {
			return p, covered, nil // o itself may have been trimmed
		}
		if !more {
			if o.Seq == 0 && first.Seq == 1 && time.Now().UnixMilli() < o.At+r.hub.ttl.Milliseconds() {
				return p, covered, nil
			}
			return past{}, older, nil
		}
		before = first.Offset()
	}
	return past{}, older, nil
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
		p.older = append(r.hub.encodeAll(r.quoted, page).messages(), p.older...)
		before = page[0].Offset()
	}
	return p
}

// overtook reports whether the ring has moved past what was read, so that it has to be read again.
// r.mu is held.
func (r *Room) overtook(p past) bool {
	if !p.recovered || p.olderEnd.IsZero() {
		return false
	}
	_, v := r.ring.since(p.olderEnd, false, time.Now())
	return v != covered && p.olderEnd.Epoch == r.ring.tail.Epoch
}

// complete joins what was read with what the ring holds now. r.mu is held, so that what is sent
// next continues it.
func (r *Room) complete(p past, o JoinOptions) past {
	now := time.Now()
	r.ring.expire(now)
	if p.recovered && !p.settled {
		missed, v := r.ring.since(o.Since, o.Vouched, now)
		p.messages, p.recovered = list(missed), v == covered
	}
	if !p.olderEnd.IsZero() {
		r.ring.update(p.older)
		if rest, v := r.ring.since(p.olderEnd, false, now); v == covered {
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
			p.messages = kept.messages() // the newest of what was missed
			return p
		}
	}
	p.messages = p.messages.messages()
	if newest, _ := r.ring.last(o.History); len(newest) > len(p.messages) {
		p.messages = list(newest)
	}
	p.messages = p.messages[max(0, len(p.messages)-o.History):].fit()
	return p
}
