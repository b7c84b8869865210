package relay

import (
	"runtime"
	"sync"
	"sync/atomic"

	"setu/relay/engineio"
)

// flushers write what is in outboxes, as many goroutines as there are processors. While they work, frames gather in the
// outboxes that wait, and one system call carries them all: cost per delivery falls as load rises. They never wait for a
// client: what its socket does not take at once goes on in a goroutine of that client's own.
type flushers struct {
	each []*flusher
	turn atomic.Uint32
	wg   sync.WaitGroup
}

// scratch is how many bytes of small frames are gathered for one write. A copy is cheaper than an iovec.
const scratch = 64 << 10

type flusher struct {
	wake chan struct{}

	mu      sync.Mutex
	dirty   []*socket
	stopped bool

	// owned by run
	frames  []*engineio.Frame
	gather  []byte
	attempt attempt
	try     func(fd uintptr) bool // attempt.write
}

func newFlushers() *flushers {
	f := &flushers{}
	for range runtime.GOMAXPROCS(0) {
		one := &flusher{wake: make(chan struct{}, 1), gather: make([]byte, 0, scratch)}
		one.try = one.attempt.write
		f.each = append(f.each, one)
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			one.run()
		}()
	}
	return f
}

// next returns the flusher for one more socket.
func (f *flushers) next() *flusher { return f.each[f.turn.Add(1)%uint32(len(f.each))] }

// stop ends the flushers, when no session is left.
func (f *flushers) stop() {
	for _, one := range f.each {
		one.mu.Lock()
		one.stopped = true
		one.mu.Unlock()
		one.rouse()
	}
	f.wg.Wait()
}

// add queues a socket whose outbox has something.
func (f *flusher) add(s *socket) {
	f.mu.Lock()
	f.dirty = append(f.dirty, s)
	first := len(f.dirty) == 1
	f.mu.Unlock()
	if first {
		f.rouse()
	}
}

func (f *flusher) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *flusher) run() {
	var work []*socket
	for {
		f.mu.Lock()
		work, f.dirty = f.dirty, work[:0]
		stopped := f.stopped
		f.mu.Unlock()
		if len(work) == 0 {
			if stopped {
				return
			}
			<-f.wake
			continue
		}
		for i, s := range work {
			f.drain(s)
			work[i] = nil
		}
	}
}

// drain writes what s has queued without waiting for its client.
func (f *flusher) drain(s *socket) {
	written := 0
	for {
		f.frames = s.out.take(f.frames[:0], written)
		if len(f.frames) == 0 {
			return
		}
		if s.wire.raw == nil || !s.wire.mu.TryLock() {
			s.pushLater(f.frames, 0, false)
			break
		}
		done, err := f.write(s.wire)
		if written = sizeOf(f.frames); err == nil && done < written {
			s.pushLater(f.frames, done, true)
			break
		}
		s.wire.mu.Unlock()
		if err != nil {
			s.broken()
		}
		clear(f.frames)
	}
	clear(f.frames)
}

// write hands frames to the socket until they are through or it takes no more.
func (f *flusher) write(w *wire) (done int, err error) {
	if w.over {
		return sizeOf(f.frames), nil
	}
	for i := 0; i < len(f.frames); {
		b := f.frames[i].Wire()
		i++
		if len(b) < scratch/2 {
			f.gather = append(f.gather[:0], b...)
			for i < len(f.frames) && len(f.gather)+f.frames[i].Size() <= scratch {
				f.gather = append(f.gather, f.frames[i].Wire()...)
				i++
			}
			b = f.gather
		}
		f.attempt.buf, f.attempt.n, f.attempt.err = b, 0, nil
		if err := w.raw.Write(f.try); err != nil {
			return done, err
		}
		done += f.attempt.n
		if f.attempt.err != nil || f.attempt.n < len(b) {
			return done, f.attempt.err
		}
	}
	return done, nil
}
