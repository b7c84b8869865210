package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys is how many keys Buckets tell apart.
const maxKeys = 1 << 16

// Buckets limit a rate by key. Keys whose buckets are full again are forgotten, so memory is bounded by
// what goes on, and by maxKeys. Past that bound the keys that are known keep their buckets, and all
// others share one between them: a flood of keys makes newcomers wait for one another, and opens
// nothing to anybody.
type Buckets[K comparable] struct {
	rate Rate // immutable
	most int  // immutable

	mu     sync.Mutex // guards what follows
	keys   map[K]*rate.Limiter
	others *rate.Limiter
	sweep  time.Time // not before
}

// sweepInterval is how often full buckets are looked for, at most.
const sweepInterval = time.Second

// NewBuckets returns a full bucket for every key.
func NewBuckets[K comparable](r Rate) *Buckets[K] {
	return &Buckets[K]{rate: r, most: maxKeys, keys: map[K]*rate.Limiter{}, others: r.bucket()}
}

// Take takes one token of a key's bucket, or returns how long it is until there is one.
func (bs *Buckets[K]) Take(key K) (wait time.Duration) {
	if bs.rate.IsOff() {
		return 0
	}
	now := time.Now()
	return take(bs.bucket(key, now), now, 1)
}

// Debit takes n tokens, whether they are there or not, as a penalty. At most a bucketful is owed.
func (bs *Buckets[K]) Debit(key K, n int) {
	if bs.rate.IsOff() {
		return
	}
	now := time.Now()
	debit(bs.bucket(key, now), now, n, bs.rate.Burst)
}

// IsDeepInDebt reports whether a key owes more than half a bucketful.
func (bs *Buckets[K]) IsDeepInDebt(key K) bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b := bs.keys[key]
	return b != nil && b.TokensAt(time.Now()) < -float64(bs.rate.Burst)/2
}

func (bs *Buckets[K]) bucket(key K, now time.Time) *rate.Limiter {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b := bs.keys[key]; b != nil {
		return b
	}
	if len(bs.keys) >= bs.most/2 && !now.Before(bs.sweep) {
		bs.forget(now)
	}
	if len(bs.keys) >= bs.most {
		return bs.others
	}
	b := bs.rate.bucket()
	bs.keys[key] = b
	return b
}

// forget lets go of full buckets. bs.mu is held.
func (bs *Buckets[K]) forget(now time.Time) {
	bs.sweep = now.Add(sweepInterval)
	for key, b := range bs.keys {
		if isFull(b, now) {
			delete(bs.keys, key)
		}
	}
}

// Counts bound how many there are of something, by key and in all. Zero bounds nothing. A key takes
// memory as long as something counts for it.
type Counts[K comparable] struct {
	each, all int // immutable

	mu    sync.Mutex // guards what follows
	keys  map[K]int
	total int
}

// NewCounts returns counts of nothing yet: of one key there may be each, together all.
func NewCounts[K comparable](each, all int) *Counts[K] {
	return &Counts[K]{each: each, all: all, keys: map[K]int{}}
}

// Add counts one more. It reports false if the bound of the key, or of all, is reached: nothing was
// counted then.
func (cs *Counts[K]) Add(key K) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.each > 0 && cs.keys[key] >= cs.each || cs.all > 0 && cs.total >= cs.all {
		return false
	}
	cs.keys[key]++
	cs.total++
	return true
}

// Of returns how many there are of a key.
func (cs *Counts[K]) Of(key K) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.keys[key]
}

// Remove counts one less, of those that Add has counted.
func (cs *Counts[K]) Remove(key K) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.keys[key]--; cs.keys[key] <= 0 {
		delete(cs.keys, key)
	}
	cs.total--
}
