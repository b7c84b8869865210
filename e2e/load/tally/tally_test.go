package tally

import (
	"slices"
	"testing"
)

// Planted losses, duplicates and swaps are found, and nothing else is.
func TestTrack(t *testing.T) {
	for _, test := range []struct {
		name                  string
		heard                 []uint32
		published             uint32
		lost, duplicate, late int
	}{
		{"all is well", []uint32{1, 2, 3, 4}, 4, 0, 0, 0},
		{"one is lost", []uint32{1, 2, 4}, 4, 1, 0, 0},
		{"the first is lost", []uint32{2, 3}, 3, 1, 0, 0},
		{"the last is lost", []uint32{1, 2}, 3, 1, 0, 0},
		{"all are lost", nil, 3, 3, 0, 0},
		{"one comes twice", []uint32{1, 2, 2, 3}, 3, 0, 1, 0},
		{"one comes again later", []uint32{1, 2, 3, 4, 2}, 4, 0, 1, 0},
		{"two are swapped", []uint32{1, 3, 2, 4}, 4, 0, 0, 1},
		{"a swap and its repeat", []uint32{1, 3, 2, 2, 4}, 4, 0, 1, 1},
		{"one comes again after the window", append(from(1, 100), 2), 100, -1, 0, 1},
		{"a loss beyond the window", append([]uint32{1}, from(200, 210)...), 210, 198, 0, 0},
	} {
		var track Track
		var duplicate, late int
		for _, seq := range test.heard {
			switch track.Hear(seq) {
			case Duplicate:
				duplicate++
			case Late:
				late++
			}
		}
		if lost := track.Lost(test.published); lost != test.lost || duplicate != test.duplicate || late != test.late {
			t.Errorf("%s: %d lost, %d twice, %d late", test.name, lost, duplicate, late)
		}
	}
}

func from(first, last uint32) (out []uint32) {
	for i := first; i <= last; i++ {
		out = append(out, i)
	}
	return out
}

// Two members that heard the same messages in the same order agree, and no others.
func TestOrder(t *testing.T) {
	type message struct {
		publisher int
		seq       uint32
	}
	digest := func(heard ...message) (o Order) {
		for _, m := range heard {
			o = o.Add(m.publisher, m.seq)
		}
		return o
	}
	a, b, c := message{0, 1}, message{1, 1}, message{0, 2}
	all := []Order{digest(a, b, c), digest(b, a, c), digest(a, c, b), digest(a, b), digest(a, b, b, c), digest()}
	if digest(a, b, c) != all[0] {
		t.Error("the same order has two digests")
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 6 {
		t.Errorf("6 orders have %d digests", n)
	}
}

func TestFaults(t *testing.T) {
	var f Faults
	if f.Any() {
		t.Error("none are some")
	}
	f.Add(Faults{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(Faults{1, 1, 1, 1, 1, 1, 1, 1})
	if want := (Faults{2, 3, 4, 5, 6, 7, 8, 9}); f != want || !f.Any() {
		t.Errorf("%+v", f)
	}
}
