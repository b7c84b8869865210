package redis

import "testing"

// What comes and goes while nothing can be written leaves nothing behind.
func TestForgottenMarksAreDropped(t *testing.T) {
	w := newWriteBehind[int, error](nil)
	w.mark(-1)
	for k := range 100_000 {
		w.mark(k)
		w.forget(k)
	}
	w.mark(7)
	if len(w.order) > 4*writeBatch {
		t.Errorf("%d marks are remembered", len(w.order))
	}
	if work := w.take(); len(work) != 2 || work[0].key != -1 || work[1].key != 7 {
		t.Error(work)
	}
}
