package redis

import (
	"slices"
	"testing"
	"time"

	"setu/relay/broker"
)

// Kill ends b as SIGKILL would: without a word.
func (b *Broker) Kill() {
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

// ProbeInterval is how often the health check is sent.
const ProbeInterval = probeInterval

// KeepDelay is how long a fresh session waits for its first Join.
const KeepDelay = keepDelay

// Judge is the judgement over one room after an outage, for a table of cases.
func Judge(t testing.TB, tail broker.Offset, tailAt int64, oldest broker.Offset, entries []broker.Message, now int64, away, ttl time.Duration) ([]broker.Message, string) {
	t.Helper()
	s := subscription{tail: tail, tailAt: tailAt}
	return s.judge(found{oldest: oldest, entries: entries}, newTail(now), away, ttl)
}

func newTail(now int64) (t tail) {
	t.now = now
	return t
}

const RecentMessages = recentMessages

var (
	ParsePush  = parsePush
	ParseEntry = parseEntry
	ParsePeer  = parsePeer
	ParseURL   = parseURL
	IDDigest   = idDigest
)

// ParseSession reads the fields of a stored session, and returns what they would be written as.
func ParseSession(fields []string) (broker.Session, []string, error) {
	have, err := parseSession(fields)
	if err != nil {
		return broker.Session{}, nil, err
	}
	f := have.fields()
	return have.session(), []string{"who", f[0], "rooms", f[1], "left", f[2]}, nil
}

// Sessions counts the connections that own a session, or of which something is still to be written.
func (b *Broker) Sessions() int {
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	return len(b.sessions.owned)
}

// LimitRevocations sets how many are stored at most, and how many bytes are read in one trip.
func (b *Broker) LimitRevocations(most, page int) {
	b.revoked.mu.Lock()
	defer b.revoked.mu.Unlock()
	b.revoked.max, b.revoked.page = most, page
}

// Revocations counts what is held, and says up to which version all are.
func (b *Broker) Revocations() (held int, at string) {
	b.revoked.mu.Lock()
	defer b.revoked.mu.Unlock()
	return len(b.revoked.held), b.revoked.at.String()
}

// StoreRevocations stores some, at most 64 at a time, and has them pushed on a channel.
func (b *Broker) StoreRevocations(t testing.TB, channel string, all ...broker.Revocation) {
	t.Helper()
	c, err := b.use()
	if err != nil {
		t.Fatal(err)
	}
	k := b.keys
	if channel != "" {
		k.revocations = channel
	}
	for some := range slices.Chunk(all, restoreBatch) {
		if _, err := storeRevocations(t.Context(), c, k, broker.MaxRevocations, some...); err != nil {
			t.Fatal(err)
		}
	}
}
