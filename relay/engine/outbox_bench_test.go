package engine

import (
	"testing"

	"setu/relay/engineio"
)

// drained returns an outbox, and what puts a frame into it and takes it out again as a writer does.
func drained(limit int) (*outbox, func(*engineio.Frame)) {
	o := &outbox{limit: limit, wake: func() {}}
	var frames []*engineio.Frame
	return o, func(f *engineio.Frame) {
		o.put(f)
		for frames = o.take(frames[:0], 0); len(frames) > 0; frames = o.take(frames[:0], sizeOf(frames)) {
		}
	}
}

// BenchmarkOutbox is one frame through an outbox that is empty, and through one in which frames wait.
func BenchmarkOutbox(b *testing.B) {
	f := textFrame("hello")
	b.Run("idle", func(b *testing.B) {
		_, through := drained(1 << 20)
		b.ReportAllocs()
		for b.Loop() {
			through(f)
		}
	})
	b.Run("burst=20", func(b *testing.B) {
		o, through := drained(1 << 20)
		b.ReportAllocs()
		for b.Loop() {
			for range 19 {
				o.put(f)
			}
			through(f)
		}
	})
}

// A frame that goes through an outbox is shared: nothing is allocated on its way, whether it is written at once or waits.
func TestOutboxAllocates(t *testing.T) {
	f := textFrame("hello")
	o, through := drained(1 << 20)
	for _, waiting := range []int{0, idleFrames - 1} {
		if n := testing.AllocsPerRun(100, func() {
			for range waiting {
				o.put(f)
			}
			through(f)
		}); n != 0 {
			t.Errorf("with %d that wait, a frame takes %v allocations", waiting, n)
		}
	}
}
