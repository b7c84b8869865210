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

// History implements broker.Broker. Pages come from the client-side cache, unless the room has annotations; any
// new message in the room invalidates them.
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
		last := page[n-1]
		if last.Pos != before.Pos || last.Digest != before.Digest {
			return nil, false, broker.ErrGap
		}
		page = page[:n-1]
		if last.Note != nil { // which did not count
			page, more = newest(page, limit-1, more)
		}
	}
	for i := range page {
		page[i].Epoch = epoch
	}
	return page, more, nil
}

// newest returns the newest messages of a page, with the annotations behind them, and whether there are more.
func newest(page []broker.Message, limit int, more bool) ([]broker.Message, bool) {
	for i := len(page) - 1; i >= 0; i-- {
		if page[i].Note != nil {
			continue
		}
		if limit--; limit < 0 {
			return page[i+1:], true
		}
	}
	return page, more
}

// page reads at most limit messages up to the one that upTo names, oldest first, without their
// epoch. It may be as old as the client-side cache is.
//
// A script bounds the bytes of a page, and takes Redis several times as long as the bare command: that
// is used for rooms of which this relay knows that no message of the page is large.
func (b *Broker) page(ctx context.Context, room string, upTo broker.Offset, limit int) ([]broker.Message, bool, error) {
	c, err := b.ask()
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
	limit = min(limit, maxPage)
	isSmall, isAnnotated := b.feed.pageOf(room, upTo, limit)
	if isSmall {
		return b.barePage(ctx, c, room, upper, limit)
	}
	do := call{keys: []string{b.keys.stream + room}, args: []string{upper, strconv.Itoa(limit), strconv.Itoa(pageBudget)}}
	var fields []rueidis.RedisMessage
	if !isAnnotated {
		if fields, err = pageScript.cached(ctx, c, do).ToArray(); err != nil {
			return nil, false, err
		}
		isAnnotated = len(fields) == 1 && isTwo(fields[0])
	}
	if isAnnotated { // of two keys, and rueidis caches by one alone
		do.keys = append(do.keys, b.keys.notes+room)
		fields, err = pageScript.run(ctx, c, do)[0].ToArray()
	}
	if err != nil {
		return nil, false, err
	}
	return parsePage(room, fields)
}

// isTwo reports whether m is the number by which page.lua says that a room has annotations.
func isTwo(m rueidis.RedisMessage) bool {
	n, err := m.AsInt64()
	return err == nil && n == 2
}

// maxPage bounds the messages of one read.
const maxPage = 512

// largeBody is the size, in bytes, from which on a message's body is taken note of.
const largeBody = 4 << 10

// pageOf reports whether none of the messages of a page is known to be large, and whether the room is known to
// have annotations.
func (f *feed) pageOf(room string, upTo broker.Offset, limit int) (isSmall, isAnnotated bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.rooms[room]
	if s == nil || s.loading || s.big == annotated {
		return false, s != nil && !s.loading
	}
	newest := s.tail.Seq
	if upTo.Seq > 0 {
		newest = upTo.Seq
	}
	return newest >= s.big+uint64(limit)+1 || s.big == 0, false
}

func (b *Broker) barePage(ctx context.Context, c rueidis.Client, room, upper string, limit int) ([]broker.Message, bool, error) {
	cmd := rueidis.Cacheable(c.B().Xrevrange().Key(b.keys.stream + room).End(upper).Start("-").Count(int64(limit) + 1).Build())
	entries, err := c.DoCache(ctx, cmd.ToStaticTTL().Pin(), cacheTTL).AsXRange()
	if err != nil {
		return nil, false, err
	}
	more := len(entries) > limit
	page := make([]broker.Message, min(len(entries), limit))
	for i := range page {
		m, err := parseEntry(room, "", entries[i].ID, entries[i].FieldValues["m"])
		if err != nil {
			return nil, false, err
		}
		page[len(page)-1-i] = m
	}
	return page, more, nil
}

// state is a room as it is at one moment.
type state struct {
	tail tail
	page []broker.Message // its newest messages, oldest first
	more bool             // older ones are stored
	big  uint64           // the sequence after which no body is large

	present // of a room that is joined
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

// tail is where the partition stands.
type tail struct {
	epoch  string
	pos    uint64
	now    int64  // ms, by Redis' clock
	format string // empty: not stated
}

// parseHead reads epoch, position, milliseconds of Redis' clock, and format.
func parseHead(f []string) (t tail, err error) {
	t.epoch = f[0]
	if t.pos, err = strconv.ParseUint(f[1], 10, 63); err != nil {
		return t, err
	}
	if len(f) > 3 {
		t.format = f[3]
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

// parseEntry reads a stream entry: the id is "<pos>-<seq>", the text "<at> <prev> <digest> <body>". If it
// begins with "~" it is an annotation, and the body a note; with "+<bytes> <notes>", these say how the
// message's annotations stand.
func parseEntry(room, epoch, id, text string) (broker.Message, error) {
	m := broker.Message{Room: room, Epoch: epoch}
	text, isNote := strings.CutPrefix(text, "~")
	if rest, noted := strings.CutPrefix(text, "+"); noted && !isNote {
		var err error
		if m.Notes, text, err = cutNotes(rest); err != nil {
			return broker.Message{}, err
		}
	}
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
	if isNote {
		m.Note, err1 = parseNote(m.Body)
		m.Body = ""
	}
	return m, err1
}
