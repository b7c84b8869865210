package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

const (
	secretBytes = 32
	maxNode     = 128 // bytes of a Peer's Node: peers that never were are asked for, too
)

// announce tells the fleet where this relay is, for the time of one lease, and whether it takes new
// clients. From then on it knows the fleet's secret, whether or not Redis is there when it is
// wanted.
func (b *Broker) announce(ctx context.Context, c rueidis.Client) error {
	if b.cfg.Self.Node == "" {
		return nil
	}
	text := b.announcement()
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	err := announceScript.run(ctx, c, call{
		keys: []string{b.keys.peer + b.cfg.Self.Node, b.keys.relays},
		args: []string{string(text), b.listed(text), ms(b.cfg.Lease), flag(b.draining.Load()), ms(membersTTL)},
	})[0].Error()
	if err != nil && !rueidis.IsRedisNil(err) { // the script returns nothing
		return err
	}
	_, err = b.Secret(ctx)
	return err
}

// announceTimeout is how long it may take from the start on until the fleet is told of this relay, mostly a few trips to
// Redis; then nobody waits for that any more.
const announceTimeout = 3 * time.Second

// Announced implements broker.Broker.
func (b *Broker) Announced(ctx context.Context) {
	select {
	case <-b.unannounced.Done():
	case <-ctx.Done():
	}
}

// announcement says where this relay is, and what format it knows.
func (b *Broker) announcement() []byte {
	text, _ := json.Marshal(announcement{b.cfg.Self, format}) // strings and a number
	return text
}

type announcement struct {
	broker.Peer
	Format int `json:"format,omitempty"` // 0: it is of before that was said, and knows format 1
}

// listed is this relay's entry in the list of those that take new clients: "<node> <announcement>".
func (b *Broker) listed(text []byte) string { return b.cfg.Self.Node + " " + string(text) }

// withdraw takes the announcement back.
func (b *Broker) withdraw(ctx context.Context, c rueidis.Client) {
	if b.cfg.Self.Node == "" {
		return
	}
	text := b.announcement()
	// If this fails, both end with the lease.
	c.DoMulti(ctx,
		c.B().Del().Key(b.keys.peer+b.cfg.Self.Node).Build(),
		c.B().Zrem().Key(b.keys.relays).Member(b.listed(text)).Build())
}

// Drain implements broker.Broker. The goroutine that announces this relay does so at once: one that
// was under way can't overtake it.
func (b *Broker) Drain() {
	b.draining.Store(true)
	b.unlisted.Store(true)
	b.presence.check()
}

// maxOthers bounds how many relays Others returns.
const maxOthers = 32

// Others implements broker.Broker, from the client-side cache if that is still valid. Relays of
// before are in no list, and so are not among them.
func (b *Broker) Others(ctx context.Context) ([]broker.Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, err
	}
	do := call{keys: []string{b.keys.relays}, args: []string{strconv.Itoa(maxOthers)}}
	entries, err := othersScript.cached(ctx, c, do).AsStrSlice()
	if err != nil {
		return nil, unavailable(err)
	}
	var out []broker.Peer
	for _, entry := range entries {
		node, text, _ := strings.Cut(entry, " ")
		if p, err := parsePeer(node, text); err == nil && node != b.cfg.Self.Node {
			out = append(out, p)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, nil
}

// Peer implements broker.Broker, from the client-side cache if that is still valid: also that
// there is none.
func (b *Broker) Peer(ctx context.Context, node string) (broker.Peer, error) {
	if node == "" || len(node) > maxNode {
		return broker.Peer{}, broker.ErrGone
	}
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return broker.Peer{}, err
	}
	text, err := c.DoCache(ctx, c.B().Get().Key(b.keys.peer+node).Cache().Pin(), b.cfg.Lease).ToString()
	if rueidis.IsRedisNil(err) {
		return broker.Peer{}, broker.ErrGone
	}
	if err != nil {
		return broker.Peer{}, unavailable(err)
	}
	return parsePeer(node, text)
}

func parsePeer(node, text string) (broker.Peer, error) {
	p, err := parseAnnouncement(text)
	if err != nil {
		return broker.Peer{}, fmt.Errorf("%w: not a peer: %w", broker.ErrGone, err)
	}
	p.Node = node
	return p.Peer, nil
}

func parseAnnouncement(text string) (is announcement, err error) {
	err = json.Unmarshal([]byte(text), &is)
	return is, err
}

// secret is the fleet's, as it was read last.
type secret struct {
	mu    sync.Mutex
	value []byte
	read  bool   // and there is no reason to read it again
	doubt uint64 // counts such reasons
}

// check has the secret read again: Redis was away, and may have lost it.
func (s *secret) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = false
	s.doubt++
}

func (s *secret) get() (value []byte, read bool, doubt uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.value), s.read, s.doubt
}

func (s *secret) set(value []byte, doubt uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.read = slices.Clone(value), doubt == s.doubt
}

// Secret implements broker.Broker. Where Redis has lost it, the first relay to come brings back the
// one that all know.
func (b *Broker) Secret(ctx context.Context) ([]byte, error) {
	value, read, doubt := b.secret.get()
	if read || value != nil && b.feed.ready() != nil {
		return value, nil
	}
	offer := value
	if offer == nil {
		offer = newSecret()
	}
	now, err := b.readSecret(ctx, offer)
	if err != nil {
		return nil, unavailable(err)
	}
	b.secret.set(now, doubt)
	return now, nil
}

// readSecret stores the offer if there is none, and returns what is stored.
func (b *Broker) readSecret(ctx context.Context, offer []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, err
	}
	set := c.B().Set().Key(b.keys.secret).Value(string(offer)).Nx().Get().Px(membersTTL).Build()
	renew := c.B().Pexpire().Key(b.keys.secret).Milliseconds(membersTTL.Milliseconds()).Build()
	text, err := c.DoMulti(ctx, set, renew)[0].ToString()
	if rueidis.IsRedisNil(err) {
		return offer, nil
	}
	if err == nil && len(text) != secretBytes {
		err = errors.New("not a secret that a relay wrote")
	}
	return []byte(text), err
}
