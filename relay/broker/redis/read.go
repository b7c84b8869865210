package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// History implements broker.Broker. Pages come from the client-side cache; any new message in the
// room invalidates them.
//
// The page is read with the message that before names, which must be there with its digest: what
// stands before another one is another history's. Where nothing is left up to it, it has been let
// go of, and so has all before it.
func (b *Broker) History(ctx context.Context, room string, before broker.Offset, limit int) ([]broker.Message, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	epoch, err := b.feed.epochNow(ctx)
	if err != nil {
		return nil, false, unavailable(err)
	}
	if !before.IsZero() && before.Epoch != epoch {
		return nil, false, broker.ErrGap
	}
	if before.Seq > 0 {
		limit++
	}
	page, more, err := b.page(ctx, room, before, limit)
	if err != nil {
		return nil, false, unavailable(err)
	}
	if n := len(page); before.Seq > 0 && n > 0 {
		if last := page[n-1]; last.Pos != before.Pos || last.Digest != before.Digest {
			return nil, false, broker.ErrGap
		}
		page = page[:n-1]
	}
	for i := range page {
		page[i].Epoch = epoch
	}
	return page, more, nil
}

// page reads at most limit messages up to the one that upTo names, oldest first, without their
// epoch. It may be as old as the client-side cache is.
func (b *Broker) page(ctx context.Context, room string, upTo broker.Offset, limit int) ([]broker.Message, bool, error) {
	c, err := b.use()
	if err != nil {
		return nil, false, err
	}
	upper := "+"
	switch {
	case upTo.Seq > 0:
		upper = entryID(upTo)
	case !upTo.IsZero():
		upper = "(" + strconv.FormatUint(upTo.Pos+1, 10) + "-0"
	}
	fields, err := pageScript.cached(ctx, c, b.pageCall(upper, limit, b.keys.stream+room)).ToArray()
	if err != nil {
		return nil, false, err
	}
	return parsePage(room, fields)
}

func (b *Broker) pageCall(upper string, limit int, keys ...string) call {
	return call{keys: keys, args: []string{upper, strconv.Itoa(limit), strconv.Itoa(pageBudget)}}
}

// state is a room as it is at one moment.
type state struct {
	tail tail
	page []broker.Message
	more bool
}

// states reads the present state of rooms, not from the cache, in one trip.
func (b *Broker) states(ctx context.Context, rooms []string) ([]state, error) {
	c, err := b.use()
	if err != nil {
		return nil, err
	}
	calls := make([]call, len(rooms))
	for i, room := range rooms {
		calls[i] = b.pageCall("+", b.cfg.History, b.keys.stream+room, b.keys.head)
	}
	out := make([]state, len(rooms))
	for i, r := range pageScript.run(ctx, c, calls...) {
		fields, err := r.ToArray()
		if err != nil || len(fields) < 4 {
			return nil, errors.Join(err, fmt.Errorf("cannot read the state of %q", rooms[i]))
		}
		head := make([]string, 3)
		for j := range head {
			if head[j], err = fields[j].ToString(); err != nil {
				return nil, err
			}
		}
		if out[i].tail, err = parseHead(head); err != nil {
			return nil, err
		}
		if out[i].page, out[i].more, err = parsePage(rooms[i], fields[3:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parsePage reads more, id, text, id, text, ..., newest first, and returns it oldest first.
func parsePage(room string, fields []rueidis.RedisMessage) ([]broker.Message, bool, error) {
	if len(fields) == 0 {
		return nil, false, fmt.Errorf("unexpected empty page of %q", room)
	}
	more, err := fields[0].AsInt64()
	if err != nil {
		return nil, false, err
	}
	page, err := parseEntries(room, fields[1:])
	slices.Reverse(page)
	return page, more == 1, err
}

// tail is where a room stands.
type tail struct {
	epoch  string
	pos    uint64         // of the partition
	now    int64          // ms, by Redis' clock
	newest broker.Message // Seq 0: the room is empty, or this was not asked
}

// endOf reports whether page, newest last, ends right at the tail. One that goes beyond may be
// newer, or may come from the cache of a connection whose Redis is no more.
func (t tail) endOf(page []broker.Message) bool {
	if len(page) == 0 || t.newest.Seq == 0 {
		return len(page) == 0 && t.newest.Seq == 0
	}
	last := page[len(page)-1]
	return last.Pos == t.newest.Pos && last.Digest == t.newest.Digest
}

func parseTail(room string, r rueidis.RedisResult) (t tail, err error) {
	f, err := r.AsStrSlice()
	if err != nil {
		return t, err
	}
	if len(f) != 5 {
		return t, fmt.Errorf("unexpected tail of %q", room)
	}
	if t, err = parseHead(f); err != nil || f[3] == "" {
		return t, err
	}
	t.newest, err = parseEntry(room, t.epoch, f[3], f[4])
	return t, err
}

// parseHead reads epoch, position, and milliseconds of Redis' clock.
func parseHead(f []string) (t tail, err error) {
	t.epoch = f[0]
	if t.pos, err = strconv.ParseUint(f[1], 10, 63); err != nil {
		return t, err
	}
	t.now, err = strconv.ParseInt(f[2], 10, 63)
	return t, err
}

func entryID(o broker.Offset) string {
	return strconv.FormatUint(o.Pos, 10) + "-" + strconv.FormatUint(o.Seq, 10)
}

func parseEntryID(id string) (pos, seq uint64, err error) {
	p, s, _ := strings.Cut(id, "-")
	pos, err1 := strconv.ParseUint(p, 10, 63)
	seq, err2 := strconv.ParseUint(s, 10, 63)
	return pos, seq, errors.Join(err1, err2)
}

// parseEntries reads id, text, id, text, ...
func parseEntries(room string, fields []rueidis.RedisMessage) ([]broker.Message, error) {
	out := make([]broker.Message, 0, len(fields)/2)
	for ; len(fields) >= 2; fields = fields[2:] {
		id, err := fields[0].ToString()
		if err != nil {
			return nil, err
		}
		text, err := fields[1].ToString()
		if err != nil {
			return nil, err
		}
		m, err := parseEntry(room, "", id, text)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// parseEntry reads a stream entry: the id is "<pos>-<seq>", the text "<at> <prev> <digest> <body>".
func parseEntry(room, epoch, id, text string) (broker.Message, error) {
	m := broker.Message{Room: room, Epoch: epoch}
	at, rest, _ := strings.Cut(text, " ")
	m.Prev, rest, _ = strings.Cut(rest, " ")
	var whole bool
	m.Digest, m.Body, whole = strings.Cut(rest, " ")
	var err1, err2 error
	m.Pos, m.Seq, err1 = parseEntryID(id)
	m.At, err2 = strconv.ParseInt(at, 10, 64)
	if !whole || err1 != nil || err2 != nil || m.Seq == 0 {
		return broker.Message{}, fmt.Errorf("not a stored message: id %.40q", id)
	}
	return m, nil
}
