// Package limit bounds how often and how much: rates as token buckets, by connection, by user over
// all relays and by address, and how many there may be of something by key. It knows nothing of what
// is limited.
package limit

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen: Events in Per, and Burst of them at once after a pause. The
// zero value is no limit.
type Rate struct {
	Events int
	Per    time.Duration
	Burst  int
}

// Off is what a Rate without a limit is written as.
const off = "off"

// maxEvents bounds the numbers of a rate.
const maxEvents = 1_000_000_000

// units are the times that a rate may be written in.
var units = []struct {
	name string
	per  time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}}

// Errors of what is no rate.
var (
	errForm   = errors.New("a rate is off, or like 50/s or 50/s:100: a number, a slash, s, m or h, and a burst if it is not as many as in a second")
	errNumber = errors.New("the numbers of a rate are whole, from 1 to 1000000000")
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == off {
		*r = Rate{}
		return nil
	}
	s, burst, hasBurst := strings.Cut(s, ":")
	events, unit, ok := strings.Cut(s, "/")
	if !ok {
		return errForm
	}
	out := Rate{}
	for _, u := range units {
		if unit == u.name {
			out.Per = u.per
		}
	}
	if out.Per == 0 {
		return errForm
	}
	if out.Events, ok = number(events); !ok {
		return errNumber
	}
	out.Burst = out.defaultBurst()
	if hasBurst {
		if out.Burst, ok = number(burst); !ok {
			return errNumber
		}
	}
	*r = out
	return nil
}

// number reads a number of a rate: digits alone.
func number(s string) (n int, ok bool) {
	u, err := strconv.ParseUint(s, 10, 32)
	return int(u), err == nil && u > 0 && u <= maxEvents
}

// defaultBurst is what a second brings, and at least one.
func (r Rate) defaultBurst() int { return max(1, int(r.PerSecond())) }

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String returns the rate as UnmarshalText reads it.
func (r Rate) String() string {
	if r.IsOff() {
		return off
	}
	s := strconv.Itoa(r.Events) + "/"
	for _, u := range units {
		if u.per == r.Per {
			s += u.name
		}
	}
	if r.Burst != r.defaultBurst() {
		s += ":" + strconv.Itoa(r.Burst)
	}
	return s
}

// IsOff reports whether r is no limit.
func (r Rate) IsOff() bool { return r.Events <= 0 || r.Per <= 0 }

// PerSecond returns how many events a second brings.
func (r Rate) PerSecond() float64 {
	if r.IsOff() {
		return 0
	}
	return float64(r.Events) / r.Per.Seconds()
}

// part returns r with one part of its burst.
func (r Rate) part(n int) Rate {
	r.Burst = max(1, r.Burst/n)
	return r
}

// bucket returns a full bucket, or nil if there is no limit.
func (r Rate) bucket() *rate.Limiter {
	if r.IsOff() {
		return nil
	}
	return rate.NewLimiter(rate.Limit(r.PerSecond()), max(1, r.Burst))
}

// take takes n tokens of a bucket, or returns how long it is until they are there.
func take(b *rate.Limiter, now time.Time, n int) (wait time.Duration) {
	if b == nil || b.AllowN(now, n) {
		return 0
	}
	return missing(b, now, n)
}

// missing is how long it is until a bucket has n tokens, or is full; at least a millisecond, since
// nobody is told to wait for less.
func missing(b *rate.Limiter, now time.Time, n int) time.Duration {
	short := float64(min(n, b.Burst())) - b.TokensAt(now)
	return max(time.Millisecond, time.Duration(short/float64(b.Limit())*float64(time.Second)))
}

// debit takes n tokens, whether they are there or not. What is owed is at most floor.
func debit(b *rate.Limiter, now time.Time, n, floor int) {
	if b == nil {
		return
	}
	n = min(n, int(b.TokensAt(now))+floor)
	for n > 0 {
		part := min(n, b.Burst())
		b.ReserveN(now, part)
		n -= part
	}
}

// forgetFull forgets the buckets that are as good as new ones.
func forgetFull(buckets []*rate.Limiter, now time.Time) {
	for i, b := range buckets {
		if isFull(b, now) {
			buckets[i] = nil
		}
	}
}

// isFull reports whether a bucket is as good as a new one.
func isFull(b *rate.Limiter, now time.Time) bool {
	return b == nil || b.TokensAt(now) >= float64(b.Burst())
}
