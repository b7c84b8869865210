package limit

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Kind is what a client does.
type Kind uint8

// Kinds. The first ones are limited by user, too.
const (
	Publish Kind = iota
	Signal
	Join
	History
	userKinds
	Event = userKinds // all else that a client sends
	Bytes = userKinds + 1
	kinds = userKinds + 2
)

var kindNames = [kinds]string{"publishes", "signals", "joins", "requests for history or members", "packets", "bytes"}

// String returns what there are too many of.
func (k Kind) String() string { return kindNames[k] }

// Rates are limits by kind.
type Rates [kinds]Rate

// Client is what one connection may still do. Its buckets are made as they are needed: who is idle has
// none.
type Client struct {
	rates *Rates        // immutable
	crowd *atomic.Int64 // immutable: connections that share out bursts, or nil

	mu      sync.Mutex // guards what follows
	buckets [kinds]*rate.Limiter
	refused *rate.Limiter
	told    *rate.Limiter
	unasked *rate.Limiter
}

// How often a connection may be refused something before it is closed, be told of what it did not ask to be
// told, and answer what it was not asked.
var (
	refusals = Rate{Events: 10, Per: time.Second, Burst: 100}
	notices  = Rate{Events: 5, Per: time.Second, Burst: 20}
	unasked  = Rate{Events: 1, Per: time.Second, Burst: 10}
)

// NewClient returns the limits of a new connection. Of joins, requests, bytes and all else that is no message
// it may do at once one part of what the rates say: all of it, or less in a crowd, as long as that is one.
func NewClient(rates *Rates, crowd *atomic.Int64) *Client { return &Client{rates: rates, crowd: crowd} }

// Tidy forgets the buckets that are full again, which are as good as none.
func (c *Client) Tidy(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	forgetFull(c.buckets[:], now)
}

// bytesParts is into how many parts the burst of Bytes is divided at most: what is left takes one message of any
// size that is taken.
const bytesParts = 4

// rate is how often something of a kind may happen.
func (c *Client) rate(k Kind) Rate {
	switch k {
	case Join, History, Event:
		return c.rates[k].part(partOf(c.crowd))
	case Bytes:
		return c.rates[k].part(min(partOf(c.crowd), bytesParts))
	}
	return c.rates[k]
}

// Take takes one token of a kind, or returns how long it is until there is one.
func (c *Client) Take(k Kind) (wait time.Duration) {
	r := c.rate(k)
	if r.IsOff() {
		return 0
	}
	return take(c.bucket(&c.buckets[k], r), time.Now(), 1)
}

// Debit counts n that have come already. It reports true once twice as many have come as may come at
// once: whoever sends them does not look at what is refused.
func (c *Client) Debit(k Kind, n int) (tooMany bool) {
	r := c.rate(k)
	if r.IsOff() || n <= 0 {
		return false
	}
	now := time.Now()
	b := c.bucket(&c.buckets[k], r)
	if b.AllowN(now, n) {
		return false
	}
	debit(b, now, n, r.Burst)
	return b.TokensAt(now) <= -float64(r.Burst)
}

// Wait returns how long it is until n may come of a kind that is debited, if something is owed of it; else
// zero.
func (c *Client) Wait(k Kind, n int) time.Duration {
	r := c.rate(k)
	if r.IsOff() {
		return 0
	}
	b, now := c.bucket(&c.buckets[k], r), time.Now()
	if b.TokensAt(now) >= 0 {
		return 0
	}
	return missing(b, now, n)
}

// Refused counts something that was refused, whatever the limit. It reports true if it happens too
// often: the client does not look at what it is told.
func (c *Client) Refused() (tooOften bool) {
	return !c.bucket(&c.refused, refusals.part(partOf(c.crowd))).Allow()
}

// MayTell reports whether the client may be told of something without having asked.
func (c *Client) MayTell() bool { return c.bucket(&c.told, notices).Allow() }

// Unasked counts an answer to nothing, while others have to wait for that. It reports true if there are too many: no
// client has a use for them.
func (c *Client) Unasked() (tooMany bool) { return !c.bucket(&c.unasked, unasked).Allow() }

// bucket returns the bucket for a rate, whose burst may be another than it was.
func (c *Client) bucket(at **rate.Limiter, r Rate) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *at == nil {
		*at = r.bucket()
	} else if burst := max(1, r.Burst); (*at).Burst() != burst {
		(*at).SetBurst(burst)
	}
	return *at
}
