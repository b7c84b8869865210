package engine

import (
	"testing"

	"setu/relay/metrics"
)

// While few clients wait one writer is awake; when more do, so are the others. None is forgotten, none is
// taken twice, and what was taken takes no memory.
func TestWriters(t *testing.T) {
	ws := &writers{count: 3, wake: make(chan struct{}, 3)} // as if all were asleep
	var put []*webSocketTransport
	add := func(n int) {
		for range n {
			put = append(put, &webSocketTransport{})
			ws.add(put[len(put)-1])
		}
	}
	woken := func(want int) {
		t.Helper()
		if got := len(ws.wake); got != want {
			t.Fatalf("%d writers were woken for %d clients, and not %d", got, len(put), want)
		}
	}
	add(1)
	woken(1)
	add(writerLoad - 1)
	woken(1)
	add(1)
	woken(2)
	add(10 * writerLoad)
	woken(3)

	var got []*webSocketTransport
	for round := range 1000 {
		some, _ := ws.take(nil)
		if len(some) != writerTakes {
			t.Fatalf("a writer took %d clients", len(some))
		}
		got = append(got, some...)
		add(writerTakes)
		if round > 500 && cap(ws.dirty) > 64*writerLoad {
			t.Fatalf("there is room for %d clients, and %d wait", cap(ws.dirty), len(put)-len(got))
		}
	}
	for some, _ := ws.take(nil); len(some) > 0; some, _ = ws.take(nil) {
		got = append(got, some...)
	}
	if len(got) != len(put) {
		t.Fatalf("%d clients were taken of %d", len(got), len(put))
	}
	for i := range got {
		if got[i] != put[i] {
			t.Fatal("clients were taken out of their order")
		}
	}
	if ws.awake != 2 {
		t.Errorf("%d writers are awake; the third has gone to sleep", ws.awake)
	}
}

// Writers that have been stopped may be stopped once more.
func TestWritersStop(t *testing.T) {
	ws := newWriters(metrics.New())
	ws.stop()
	ws.stop()
}
