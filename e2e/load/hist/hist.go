// Package hist is a histogram of durations, at most 1.6 % off.
package hist

import (
	"math/bits"
	"time"
)

// steps is how many there are to a power of two.
const steps = 64

// Histogram counts durations. The zero value is empty.
type Histogram struct {
	n      uint64
	max    time.Duration
	counts [64 * steps]uint64
}

// Add counts one.
func (h *Histogram) Add(d time.Duration) {
	h.n++
	h.max = max(h.max, d)
	h.counts[bucket(d)]++
}

// N returns how many were counted.
func (h *Histogram) N() uint64 { return h.n }

// Quantile returns the duration below which the share q of all lies, such as 0.99; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := min(uint64(q*float64(h.n)), h.n-1)
	var below uint64
	for i, n := range h.counts {
		if below += n; below > want {
			return min(top(i), h.max)
		}
	}
	return h.max
}

// bucket returns the index of a duration: up to steps nanoseconds each has its own, then each power of two has as many.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(v) - bits.Len64(steps) // v>>shift is at least steps, and less than twice that
	return (shift+1)*steps + int(v>>shift) - steps
}

// top returns the longest duration of a bucket.
func top(i int) time.Duration {
	if i < steps {
		return time.Duration(i)
	}
	shift := i/steps - 1
	return time.Duration((uint64(i%steps+steps)+1)<<shift) - 1
}

// Merge adds all that g has counted.
func (h *Histogram) Merge(g *Histogram) {
	h.n += g.n
	h.max = max(h.max, g.max)
	for i, n := range g.counts {
		h.counts[i] += n
	}
}
