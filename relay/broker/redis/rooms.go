package redis

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// scanMost bounds the keys that one SCAN looks at, and scanTrips how many of them one page takes.
const (
	scanLeast = 100
	scanMost  = 1000
	scanTrips = 20
)

// Rooms implements broker.Broker, by SCAN: nothing is written for a list that is seldom asked for. The
// cursor is SCAN's. A page may have a few rooms more than limit, and, of a Redis that holds much else,
// fewer, or none.
func (b *Broker) Rooms(ctx context.Context, cursor string, limit int) (rooms []broker.RoomCount, next string, err error) {
	at := uint64(0)
	if cursor != "" {
		if at, err = strconv.ParseUint(cursor, 10, 64); err != nil || at == 0 {
			return nil, "", broker.ErrCursor
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, "", err
	}
	for range scanTrips {
		count := int64(min(max(limit-len(rooms), scanLeast), scanMost))
		page, err := c.Do(ctx, c.B().Scan().Cursor(at).Match(escapeGlob(b.keys.members)+"*").Count(count).Build()).AsScanEntry()
		if err != nil {
			return nil, "", unavailable(err)
		}
		some, err := b.countRooms(ctx, c, page.Elements)
		if err != nil {
			return nil, "", unavailable(err)
		}
		rooms, at = append(rooms, some...), page.Cursor
		if at == 0 {
			return rooms, "", nil
		}
		if len(rooms) >= limit {
			break
		}
	}
	return rooms, strconv.FormatUint(at, 10), nil
}

// countRooms counts the users of rooms, by the keys of their members. Those that nobody is in by now are
// left out.
func (b *Broker) countRooms(ctx context.Context, c rueidis.Client, keys []string) ([]broker.RoomCount, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	cmds := make(rueidis.Commands, len(keys))
	for i, key := range keys {
		cmds[i] = c.B().Hlen().Key(key).Build().Pin()
	}
	out := make([]broker.RoomCount, 0, len(keys))
	for i, r := range c.DoMulti(ctx, cmds...) {
		n, err := r.AsInt64()
		if err != nil {
			return nil, err
		}
		if n > 0 {
			out = append(out, broker.RoomCount{Room: strings.TrimPrefix(keys[i], b.keys.members), Count: int(n)})
		}
	}
	return out, nil
}

// escapeGlob returns a pattern that matches text alone.
func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(text)
}
