package hist

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var h Histogram
	if h.Quantile(.5) != 0 {
		t.Error("nothing has a median")
	}
	for i := range 100_000 {
		h.Add(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{.5: 50 * time.Millisecond, .99: 99 * time.Millisecond, .999: 99900 * time.Microsecond, 1: 100 * time.Millisecond} {
		if got := h.Quantile(q); got < want-time.Microsecond || got > want+want/50 {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	h.Add(-1)
	h.Add(0)
	if h.N() != 100_002 || h.Quantile(0) != 0 {
		t.Error(h.N(), h.Quantile(0))
	}
	var all Histogram
	all.Add(time.Hour)
	all.Merge(&h)
	if all.N() != 100_003 || all.Quantile(1) != time.Hour {
		t.Error(all.N(), all.Quantile(1))
	}
}

// Buckets follow one another without holes.
func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 63, 64, 65, 127, 128, 129, 1 << 20, 1<<20 + 1, 1<<62 + 1} {
		if i := bucket(d); top(i) < d || i > 0 && top(i-1) >= d {
			t.Errorf("%d is in bucket %d, from %d to %d", d, i, top(i-1)+1, top(i))
		}
	}
}
