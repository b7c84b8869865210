// Package redis is a broker over one Redis or Valkey that any number of relays share.
package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// How long Redis may take, and how much may wait for it.
const (
	callTimeout    = 5 * time.Second // one call of ours, with all of rueidis' retries in it
	connTimeout    = 3 * time.Second // a dial, or an answer on a connection, before it counts as dead
	probeInterval  = 2 * time.Second // between rounds of the health check
	probeTimeout   = 5 * time.Second // without a finished round: the subscription is dead
	cacheTTL       = 5 * time.Minute // of client-side cached reads, which Redis invalidates much earlier
	publishSlots   = 1024            // batches of publishes under way: half of the ring, which heeds no deadline once it is full
	ringScale      = 11              // 2,048 commands under way on a connection
	pageBudget     = 1 << 20         // bytes of messages in one page of history
	membersTTL     = 24 * time.Hour  // of presence keys, renewed while there are users
	touchInterval  = membersTTL / 4  // between renewals of presence keys
	cacheBytes     = 16 << 20        // of client-side cache
	connBuffer     = 64 << 10        // bytes of each buffer of a connection
	reconnectDelay = 50 * time.Millisecond
	maxReconnect   = 500 * time.Millisecond
	reconnectCalm  = 2 * time.Second // a connection that lasted so long is no reason to wait for the next
)

const defaultPrefix = "setu"

// Config says which Redis or Valkey, and how to use it.
type Config struct {
	URL    string // redis://, rediss://, valkey:// or valkeys://; a database number parts fleets
	CA     string // PEM of the certificate authorities to trust; empty: the system's
	Prefix string // of all keys and channels; empty: "setu"
	Lease  time.Duration
	Self   broker.Peer // where this relay is; without a Node the others are not told
	broker.Limits

	Metrics *metrics.Metrics // count what happens; nil: nobody reads them

	// Dial opens connections to Redis; nil: over TCP, or TLS if the URL says so. What it returns is
	// used as it is.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Broker is a broker over one Redis or Valkey, version 7 or later, that any number of relays share.
//
// The stream of a room is the truth; a publish also wakes everyone over pub/sub, on one dedicated
// connection (feed). When that connection was away, or a sequence jumps, what is missing is read
// from the streams before anything new is delivered.
type Broker struct {
	cfg  Config
	opt  rueidis.ClientOption
	log  *slog.Logger
	keys keys

	client     atomic.Pointer[rueidis.Client] // nil until Redis was reached once
	subscriber atomic.Pointer[rueidis.Client] // likewise, for the feed
	refused    atomic.Pointer[error]          // why Redis must not be used, nil if it may
	denied     denials
	feed       *feed
	presence   *presence
	sessions   *sessions
	secret     secret
	draining   atomic.Bool // the others are to bring no new clients here
	unlisted   atomic.Bool // and are still to be told
	slots      chan struct{}
	signals    *signals
	revoked    *revocations
	commands   *commands
	notices    *notices

	ctx           context.Context // the broker's life: ends with Close
	cancel        context.CancelFunc
	unannounced   context.Context // ends when the others can find this relay, or that has taken too long
	noteAnnounced context.CancelFunc
	wg            sync.WaitGroup
	closed        sync.Once
}

// Open starts a broker. It returns before Redis is reached, and keeps trying; Ready reports how it
// is. An error is a bad setting.
func Open(cfg Config, log *slog.Logger) (*Broker, error) {
	opt, err := options(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if cfg.Recovery <= 0 {
		cfg.Recovery = broker.DefaultRecovery
	}
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New()
	}
	b := &Broker{cfg: cfg, opt: opt, log: log, keys: newKeys(cfg.Prefix, opt.SelectDB),
		slots: make(chan struct{}, publishSlots)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.unannounced, b.noteAnnounced = context.WithTimeout(b.ctx, announceTimeout)
	b.feed = newFeed(b)
	b.presence = newPresence(b)
	b.sessions = newSessions(b)
	b.revoked = newRevocations(b)
	b.notices = newNotices(b)
	b.signals = newSignals(b)
	b.commands = newCommands(b)
	cfg.Metrics.OnGather(func() { cfg.Metrics.SubscriptionLag.Set(b.feed.lag().Seconds()) })
	b.wg.Add(6)
	go b.feed.run()
	go b.feed.probe()
	go b.feed.tellRefusals()
	go b.presence.run(min(cfg.Lease/3, lookInterval), b.presence.turn, func() {})
	b.wg.Go(b.presence.evictor.run)
	b.wg.Go(b.revoked.run)
	b.wg.Go(b.commands.run)
	go b.sessions.run(cfg.Recovery/2, b.sessions.turn, b.sessions.expire)
	go b.sessions.tellFenced()
	b.signals.start()
	if b.notices.on {
		b.wg.Go(b.notices.run)
	}
	return b, nil
}

// newName is a name that nothing has had before: of a lease, or of a relay's channel.
func newName() string { return strings.ToLower(rand.Text()[:10]) }

// newEpoch is an epoch's name. Every offset begins with it, so it is short: 30 bits, for one that is
// drawn when the store has lost something.
func newEpoch() string { return strings.ToLower(rand.Text()[:6]) }

func newSecret() []byte {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails
	return secret
}

func options(cfg Config) (rueidis.ClientOption, error) {
	opt, err := parseURL(cfg.URL)
	if err != nil {
		return opt, err
	}
	if cfg.CA != "" {
		if opt.TLSConfig == nil {
			return opt, errors.New("a CA needs a rediss:// or valkeys:// URL")
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(cfg.CA)) {
			return opt, errors.New("the CA holds no PEM certificate")
		}
		opt.TLSConfig.RootCAs = roots
	}
	if opt.TLSConfig != nil {
		opt.TLSConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	opt.ForceSingleClient = true // no CLUSTER command: some services have it disabled
	opt.ClientSetInfo = rueidis.DisableClientSetInfo
	opt.PipelineMultiplex = -1 // one connection, so that batches keep their order
	opt.RingScaleEachConn = ringScale
	opt.ReadBufferEachConn, opt.WriteBufferEachConn = connBuffer, connBuffer
	opt.CacheSizeEachConn = cacheBytes
	opt.BlockingPoolSize = 4
	opt.ConnWriteTimeout = connTimeout
	opt.Dialer.Timeout = connTimeout
	opt.Dialer.KeepAlive = time.Second
	if opt.DialCtxFn == nil {
		opt.DialCtxFn = dialRedis
	}
	if cfg.Dial != nil {
		opt.DialCtxFn = func(ctx context.Context, address string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connTimeout)
			defer cancel()
			return cfg.Dial(ctx, address)
		}
	}
	return opt, nil
}

// open makes the clients once Redis answers; nil error means that they are set.
func (b *Broker) open() error {
	if b.client.Load() != nil {
		return nil
	}
	c, err := rueidis.NewClient(b.opt)
	if errors.Is(err, rueidis.ErrNoCache) {
		b.log.Warn("this Redis has no CLIENT TRACKING: running without the client-side cache", "error", err)
		b.opt.DisableCache = true
		c, err = rueidis.NewClient(b.opt)
	}
	if err != nil {
		return err
	}
	s, err := b.openSubscriber()
	if err != nil {
		c.Close()
		return err
	}
	c, s = newCounted(c, b.cfg.Metrics), newCounted(s, b.cfg.Metrics)
	b.subscriber.Store(&s)
	b.client.Store(&c)
	return nil
}

// reached returns the client, or ErrUnavailable if Redis has not been reached yet.
func (b *Broker) reached() (rueidis.Client, error) {
	if b.ctx.Err() != nil {
		return nil, broker.ErrClosed
	}
	if c := b.client.Load(); c != nil {
		return *c, nil
	}
	return nil, broker.ErrUnavailable
}

// unavailable wraps whatever Redis or the way to it said.
func unavailable(err error) error {
	if err == nil || errors.Is(err, broker.ErrUnavailable) || errors.Is(err, broker.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
}

// Ready implements broker.Broker: a message published through Redis has come back over the
// subscription lately.
func (b *Broker) Ready() error { return b.feed.ready() }

// Head implements broker.Broker.
func (b *Broker) Head() broker.Offset { return b.feed.head() }

// Close implements broker.Broker. ctx bounds the announcing of leaves; what else it waits for is
// bounded by the time-outs above.
func (b *Broker) Close(ctx context.Context) error {
	b.closed.Do(func() {
		b.sessions.retire(ctx)
		b.presence.retire(ctx)
		b.wg.Wait()
		b.dropClients()
		b.wg.Wait()
	})
	return nil
}

// keys are the names of what Redis holds for one partition. They share a hash tag, so that a script
// may use them together.
type keys struct {
	head, lives, relays, secret, probe, noted                                          string
	revoked, revokedLog, revokedEnds                                                   string
	revocations, commands                                                              string // channels
	online                                                                             string
	notices                                                                            []string
	stream, index, older, notes, members, channel, life, write, private, session, peer string // prefixes
}

// newKeys names what a fleet with this prefix holds in a database. Redis' channels are shared by
// all databases, so theirs name it too, but for database 0.
func newKeys(prefix string, database int) keys {
	p := prefix + "{0}:"
	c := p
	if database != 0 {
		c += "db" + strconv.Itoa(database) + ":"
	}
	return keys{notices: noticeKeys(p), online: p + "online", head: p + "head", lives: p + "lives", relays: p + "relays", secret: p + "secret", probe: p + "probe", noted: p + "noted",
		revoked: p + "revoked", revokedLog: p + "revoked:log", revokedEnds: p + "revoked:ends", revocations: c + "revocations", commands: c + "commands", stream: p + "stream:",
		index: p + "index:", older: p + "older:", notes: p + "notes:", members: p + "members:", life: p + "life:", write: p + "write:", session: p + "session:",
		peer: p + "peer:", channel: c + "room:", private: c + "relay:"}
}

// membersOf names the key of a room's members. That of all who are connected is not among the rooms'.
func (k keys) membersOf(room string) string {
	if room == onlineRoom {
		return k.online
	}
	return k.members + room
}

// room takes the room's name from its channel's.
func (k keys) room(channel string) (string, bool) { return strings.CutPrefix(channel, k.channel) }

// relay takes the relay's id from its channel's name.
func (k keys) relay(channel string) string { return strings.TrimPrefix(channel, k.private) }

// check has all looked at that Redis, which was away, may have lost.
func (b *Broker) check() {
	b.presence.check()
	b.sessions.check()
	b.secret.check()
	nudge(b.revoked.wake) // what could not be done while it was away
}
