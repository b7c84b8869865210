package wiretest

import (
	"testing"
	"time"
)

// What stood still is taken off, as far as it lies within.
func TestBetweenStalls(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	s := &Stalls{last: at(0)}
	for _, ms := range []int{5, 10, 1010, 1015, 1020, 3020, 3030} { // stalls from 15 to 1010, and from 1025 to 3020
		s.look(at(ms))
	}
	for _, c := range []struct{ from, to, had int }{{0, 10, 10}, {0, 1020, 25}, {0, 3030, 40}, {500, 600, 0}, {1005, 1030, 15}, {4000, 5000, 1000}, {5, 5, 0}} {
		if got, want := s.Between(at(c.from), at(c.to)), time.Duration(c.had)*time.Millisecond; got != want {
			t.Errorf("from %d to %d there were %v, not %v", c.from, c.to, got, want)
		}
	}
}
