package main

import (
	"strings"
	"testing"
)

// raced says that this runs under the race detector, which sees nothing of what runs as WebAssembly, and has its
// compiler take minutes.
var raced bool

// A seed and an order tell one story, to the last letter, and another order another.
func TestReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulation for WebAssembly")
	}
	if raced {
		t.Skip("to be run without -race")
	}
	tests, err := build()
	if err != nil {
		t.Fatal(err)
	}
	story := func(order uint64) string {
		t.Helper()
		var out strings.Builder
		if err := run(tests, order, []string{"-seed", "5", "-steps", "30", "-story"}, &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		return out.String()
	}
	one, again, other := story(1), story(1), story(2)
	if one != again || len(one) < 5000 {
		t.Errorf("one seed, and two stories:\n%s\n\n%s", one, again)
	}
	if one == other {
		t.Error("two orders, and one story")
	}
}
