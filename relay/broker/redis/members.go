package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// Members implements broker.Broker, from the client-side cache if that is still valid.
func (b *Broker) Members(ctx context.Context, room string, limit int) ([]string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, 0, err
	}
	r := membersScript.cached(ctx, c, call{keys: []string{b.keys.members + room}, args: []string{strconv.Itoa(limit)}})
	fields, err := r.ToArray()
	if err != nil {
		return nil, 0, unavailable(err)
	}
	is, err := parseMembers(fields, "")
	switch {
	case err != nil:
		return nil, 0, unavailable(err)
	case !r.IsCacheHit():
		is = b.checkPresent(room, limit, is)
	case is.count > limit:
		b.presence.doubt(room, is.count)
	}
	return is.members, is.count, nil
}

// MembersNow implements broker.Broker.
func (b *Broker) MembersNow(ctx context.Context, room string, limit int) ([]string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, 0, err
	}
	partial := b.isPartial()
	is, err := b.parseCurrent(currentScript.run(ctx, c, b.current(room, limit))[0])
	if err != nil {
		return nil, 0, unavailable(err)
	}
	is = b.checkPresent(room, limit, is)
	if is.partial || partial || b.isPartial() {
		err = broker.ErrPartial
	}
	return is.members, is.count, err
}

// isPartial reports whether Redis may lack people whom relays are yet to record anew.
func (b *Broker) isPartial() bool {
	return b.feed.isAway() || b.presence.isPartial() // in this order: what follows the first is noted before that ends
}

// present is who is in a room: how many, and the JSON of each unless they are too many to list.
type present struct {
	members []string
	count   int
	partial bool    // some may be missing
	ghosts  []ghost // of members: those whom no relay has that lives
}

// ghost is a user who stands in a room for lives that have ended.
type ghost struct{ user, lives string }

// current asks who is in a room now.
func (b *Broker) current(room string, limit int) call {
	return call{keys: []string{b.keys.members + room, b.keys.lives}, args: []string{strconv.Itoa(limit)}}
}

// parseCurrent reads what current.lua says.
func (b *Broker) parseCurrent(r rueidis.RedisResult) (is present, err error) {
	fields, err := r.ToArray()
	if err != nil || len(fields) == 0 {
		return is, errors.Join(err, errors.New("no members"))
	}
	living, err := fields[0].ToString()
	if err != nil {
		return is, err
	}
	is, err = parseMembers(fields[1:], living)
	own := b.presence.ownLife()
	if is.partial = own != "" && !isLiving(living, own); is.partial || own == "" {
		is.ghosts = nil
	}
	return is, err
}

// isLiving reports whether one of lives, as commas divide them, is among the living.
func isLiving(living, lives string) bool {
	for life := range strings.SplitSeq(lives, ",") {
		if life != "" && strings.Contains(living, ","+life+",") {
			return true
		}
	}
	return false
}

// parseMembers reads what members.lua says. Who is a ghost is told by the lives that there are; nobody
// is if that is empty.
func parseMembers(fields []rueidis.RedisMessage, living string) (is present, err error) {
	if len(fields) == 0 {
		return is, errors.New("no members")
	}
	count, err := fields[0].AsInt64()
	if err != nil {
		return is, err
	}
	if is.count = int(count); count == 0 {
		is.members = []string{} // a list of nobody, and none that is too long
	}
	known := placer{}
	for _, f := range fields[1:] {
		entry, err := f.ToString()
		if err != nil {
			return is, err
		}
		lives, text, ok := strings.Cut(entry, "|")
		if !ok {
			continue
		}
		is.members = append(is.members, known.placed(text, lives))
		if living != "" && !isLiving(living, lives) {
			is.ghosts = append(is.ghosts, ghost{broker.UserID(text), lives})
		}
	}
	return is, nil
}

// checkPresent compares what Redis has just said of a room with what was recorded there, and makes up
// for what it has lost.
func (b *Broker) checkPresent(room string, limit int, is present) present {
	if is.count > limit {
		b.presence.doubt(room, is.count)
		return present{count: is.count, partial: is.partial}
	}
	b.presence.dispel(room, is.ghosts)
	is.members, is.count = b.presence.complete(room, is.members, is.count)
	if is.count > limit {
		is.members = nil
	}
	return is
}

// membersOf makes the commands that say who is in rooms that are joined: a list if it is asked for,
// else the count.
func (b *Broker) membersOf(c rueidis.CoreClient, joining []*subscription) []rueidis.Completed {
	cmds := make([]rueidis.Completed, len(joining))
	for i, s := range joining {
		if s.list > 0 {
			cmds[i] = currentScript.build(c, b.current(s.room, s.list))
		} else {
			cmds[i] = c.B().Hlen().Key(b.keys.members + s.room).Build().Pin()
		}
	}
	return cmds
}

// parsePresent reads the answer to one of membersOf's commands.
func (b *Broker) parsePresent(ctx context.Context, c rueidis.CoreClient, s *subscription, r rueidis.RedisResult) (present, error) {
	if s.list == 0 {
		count, err := r.AsInt64()
		return present{count: int(count)}, err
	}
	if isNoScript(r.Error()) {
		r = currentScript.run(ctx, c, b.current(s.room, s.list))[0]
	}
	is, err := b.parseCurrent(r)
	if err == nil {
		is = b.checkPresent(s.room, s.list, is)
	}
	return is, err
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
		cmds = append(cmds, c.B().Pexpire().Key(p.b.keys.membersOf(room)).Milliseconds(membersTTL.Milliseconds()).Build())
	}
	cmds = append(cmds, c.B().Pexpire().Key(p.b.keys.secret).Milliseconds(membersTTL.Milliseconds()).Build())
	ctx, cancel := context.WithTimeout(p.b.ctx, callTimeout)
	defer cancel()
	c.DoMulti(ctx, cmds...)
}
