package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// Members implements broker.Broker, from the client-side cache if that is still valid.
func (b *Broker) Members(ctx context.Context, room string, limit int) ([]string, int, error) {
	return b.readMembers(ctx, room, limit, membersScript.cached)
}

// MembersNow implements broker.Broker.
func (b *Broker) MembersNow(ctx context.Context, room string, limit int) ([]string, int, error) {
	return b.readMembers(ctx, room, limit, func(ctx context.Context, c rueidis.Client, do call) rueidis.RedisResult {
		return membersScript.run(ctx, c, do)[0]
	})
}

func (b *Broker) readMembers(ctx context.Context, room string, limit int,
	read func(context.Context, rueidis.Client, call) rueidis.RedisResult) ([]string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, 0, err
	}
	r := read(ctx, c, call{keys: []string{b.keys.members + room}, args: []string{strconv.Itoa(limit)}})
	fields, err := r.ToArray()
	if err != nil || len(fields) == 0 {
		return nil, 0, unavailable(errors.Join(err, errors.New("no members")))
	}
	count, err := fields[0].AsInt64()
	if err != nil {
		return nil, 0, unavailable(err)
	}
	var users []string
	for _, f := range fields[1:] {
		entry, err := f.ToString()
		if err != nil {
			return nil, 0, unavailable(err)
		}
		if _, text, ok := strings.Cut(entry, "|"); ok {
			users = append(users, text)
		}
	}
	n := int(count)
	switch {
	case n > limit:
		b.presence.doubt(room, n)
	case !r.IsCacheHit():
		users, n = b.presence.complete(room, users, n)
	}
	if n > limit {
		users = nil
	}
	return users, n, nil
}

// touch renews the keys of the rooms that have users here, and the secret: each expires, lest a
// fleet that is gone leave them for ever.
func (p *presence) touch(c rueidis.Client) {
	rooms := map[string]bool{}
	p.mu.Lock()
	for at := range p.want {
		rooms[at.room] = true
	}
	p.mu.Unlock()
	var cmds rueidis.Commands
	for room := range rooms {
		cmds = append(cmds, c.B().Pexpire().Key(p.b.keys.members+room).Milliseconds(membersTTL.Milliseconds()).Build())
	}
	cmds = append(cmds, c.B().Pexpire().Key(p.b.keys.secret).Milliseconds(membersTTL.Milliseconds()).Build())
	ctx, cancel := context.WithTimeout(p.b.ctx, callTimeout)
	defer cancel()
	c.DoMulti(ctx, cmds...)
}
