package broker

import (
	"testing"
	"time"
)

// Kill ends b as SIGKILL would: without a word.
func (b *Redis) Kill() {
	b.closed.Do(func() {
		b.cancel()
		b.wg.Wait()
		if c := b.client.Load(); c != nil {
			(*c).Close()
		}
	})
}

// MembersTTL is how long a room's members are kept without anybody renewing them.
const MembersTTL = membersTTL

// KeepDelay is how long a fresh session waits for its first Join.
const KeepDelay = keepDelay

// Judge is the judgement over one room after an outage, for a table of cases.
func Judge(t testing.TB, tail Offset, tailAt int64, oldest Offset, entries []Message, now int64, away, ttl time.Duration) ([]Message, string) {
	t.Helper()
	s := subscription{tail: tail, tailAt: tailAt}
	return s.judge(found{oldest, entries}, newTail(now), away, ttl)
}

func newTail(now int64) (t tail) {
	t.now = now
	return t
}

var (
	ParsePush  = parsePush
	ParseEntry = parseEntry
	ParsePeer  = parsePeer
)

// Rooms counts the rooms of which anything is kept.
func (b *Memory) Rooms() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rooms)
}

// ParseSession reads the fields of a stored session, and returns what they would be written as, by name.
func ParseSession(fields []string) (Session, map[string]string, error) {
	have, err := parseSession(fields)
	if err != nil {
		return Session{}, nil, err
	}
	s := kept{who: have.who, memberships: have.memberships}
	args, again := s.appendAll(nil), map[string]string{}
	for ; len(args) > 0; args = args[2:] {
		again[args[0]] = args[1]
	}
	return have.Session, again, nil
}

// Sessions counts the sessions of which anything is kept.
func (b *Memory) Sessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions)
}

// Sessions counts the connections that own a session, or of which something is still to be written.
func (b *Redis) Sessions() int {
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	return len(b.sessions.owned)
}
