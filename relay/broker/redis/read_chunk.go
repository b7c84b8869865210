package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// What is read of a room as it stands: enough for most who join. What is older is read when somebody
// asks for it.
const (
	newestLimit = 100      // messages
	newestBytes = 64 << 10 // of bodies, before no more are read
)

// readChunk makes one call for some rooms. With subscribe, the rooms and this relay's own channel
// are subscribed to in the same trip, before they are read.
func (b *Broker) readChunk(ctx context.Context, c rueidis.CoreClient, of chunk) (a answer) {
	epoch, known := b.feed.known()
	a = answer{chunk: of, epoch: epoch, known: known}
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	rooms := make([]string, len(of.rooms))
	from := make([]string, len(of.rooms))
	for i, m := range of.rooms {
		rooms[i], from[i] = m.was.room, "0-0"
		if m.from.Seq > 0 {
			from[i] = entryID(m.from)
		}
	}
	var channels []string
	if of.subscribe {
		channels = append(channels, b.feed.channel, b.keys.commands)
		for i, m := range of.rooms {
			if m.s != nil {
				channels = append(channels, b.keys.channel+rooms[i])
			}
		}
	}
	if of.newest {
		a.now, a.found, _, a.err = b.readNewest(ctx, c, of.budget, channels, rooms)
		return a
	}
	do := call{keys: []string{b.keys.head}, args: append([]string{strconv.Itoa(of.budget)}, from...)}
	for _, room := range rooms {
		do.keys = append(do.keys, b.keys.stream+room)
	}
	var answers []rueidis.RedisMessage
	if a.now, answers, _, a.err = missedScript.after(ctx, c, channels, do); a.err == nil {
		a.found, a.err = parseFound(rooms, answers, false)
	}
	return a
}

// readNewest reads how rooms stand. Of many it may return fewer, but one at least. What else is to be
// read goes out with it.
func (b *Broker) readNewest(ctx context.Context, c rueidis.CoreClient, budget int, channels, rooms []string,
	more ...rueidis.Completed) (now tail, out []found, also []rueidis.RedisResult, err error) {
	do := call{keys: []string{b.keys.head}, args: []string{strconv.Itoa(budget), strconv.Itoa(newestBytes), strconv.Itoa(min(newestLimit, b.cfg.History))}}
	for _, room := range rooms {
		do.keys = append(do.keys, b.keys.stream+room, b.keys.index+room, b.keys.notes+room)
	}
	now, answers, also, err := newestScript.after(ctx, c, channels, do, more...)
	if err == nil {
		out, err = parseFound(rooms, answers, true)
	}
	if err == nil && len(out) == 0 {
		err = errors.New("an answer without rooms")
	}
	return now, out, also, err
}

// after subscribes to channels, if there are any, and runs s and what more is to be read then, in one
// trip: how the partition stood, and what it says of each room.
func (s script) after(ctx context.Context, c rueidis.CoreClient, channels []string, do call,
	more ...rueidis.Completed) (now tail, rooms []rueidis.RedisMessage, also []rueidis.RedisResult, err error) {
	r, also, err := s.subscribed(ctx, c, channels, do, more...)
	if err != nil {
		return now, nil, nil, err
	}
	fields, err := r.ToArray()
	if err != nil || len(fields) < 4 {
		return now, nil, nil, errors.Join(err, errors.New("cannot read the streams"))
	}
	head := make([]string, 4)
	for i := range head {
		if head[i], err = fields[i].ToString(); err != nil {
			return now, nil, nil, err
		}
	}
	now, err = parseHead(head)
	return now, fields[4:], also, err
}

// subscribed is after, for an answer of whatever kind.
func (s script) subscribed(ctx context.Context, c rueidis.CoreClient, channels []string, do call,
	more ...rueidis.Completed) (r rueidis.RedisResult, also []rueidis.RedisResult, err error) {
	if len(channels) == 0 {
		return s.run(ctx, c, do)[0], nil, nil
	}
	subscribe := c.B().Subscribe().Channel(channels...).Build().Pin()
	results := c.DoMulti(ctx, slices.Concat([]rueidis.Completed{subscribe, s.build(c, do)}, more)...)
	if err := results[0].Error(); err != nil {
		return r, nil, err
	}
	if r, also = results[1], results[2:]; isNoScript(r.Error()) {
		r = s.run(ctx, c, do)[0]
	}
	return r, also, nil
}

// parseFound reads what missed.lua or newest.lua say of rooms.
func parseFound(rooms []string, answers []rueidis.RedisMessage, newest bool) ([]found, error) {
	out := make([]found, min(len(rooms), len(answers)))
	for i := range out {
		f, err := answers[i].ToArray()
		if err != nil || len(f) < 2 {
			return nil, errors.Join(err, fmt.Errorf("cannot read %q", rooms[i]))
		}
		if out[i].entries, err = parseEntries(rooms[i], f[2:]); err != nil {
			return nil, err
		}
		if newest {
			err = out[i].parseNewest(f)
		} else {
			err = out[i].parseMissed(f)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (fd *found) parseMissed(f []rueidis.RedisMessage) error {
	oldest, err := f[0].ToString()
	if err == nil && oldest != "" {
		fd.oldest.Pos, fd.oldest.Seq, err = parseEntryID(oldest)
	}
	more, err2 := f[1].AsInt64()
	fd.more = more == 1
	return errors.Join(err, err2)
}

func (fd *found) parseNewest(f []rueidis.RedisMessage) error {
	slices.Reverse(fd.entries)
	more, err := f[0].AsInt64()
	fd.more = more == 1
	big, err2 := f[1].ToString()
	if err2 == nil && big != "" {
		fd.big, err2 = strconv.ParseUint(big, 10, 63)
	} else if len(fd.entries) > 0 {
		fd.big = fd.entries[len(fd.entries)-1].Seq // nobody took note
	}
	return errors.Join(err, err2)
}
