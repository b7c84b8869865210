package relay

import (
	"context"
	"sync"

	"setu/relay/engineio"
)

// outbox is what waits to be written to one client: shared frames, bounded in bytes. It knows nothing of how they go out:
// put wakes the door when there is something and nobody is draining, and the door takes until nothing is left.
type outbox struct {
	limit int // immutable

	mu      sync.Mutex
	wake    func() // must not block; called without mu
	frames  []*engineio.Frame
	bytes   int // of frames, and of what was taken and is not written yet
	busy    bool
	closing bool          // takes nothing more
	empty   chan struct{} // closed when a closing outbox has nothing left; nil while nobody waits
	lull    chan struct{} // closed when little is queued; nil while nobody waits
}

// little is how much may be queued for the next frame to fit, whatever its size: one long answer alone makes nobody slow.
func (o *outbox) little() bool { return o.bytes <= o.limit/4 }

// put queues f. It is false where f does not fit: the client is too slow; or where the outbox is closing.
func (o *outbox) put(f *engineio.Frame) bool {
	o.mu.Lock()
	if o.closing || !o.little() && o.bytes+f.Size() > o.limit {
		o.mu.Unlock()
		return false
	}
	o.frames = append(o.frames, f)
	o.bytes += f.Size()
	idle := !o.busy
	o.busy = true
	wake := o.wake
	o.mu.Unlock()
	if idle {
		wake()
	}
	return true
}

// redirect has another door woken from now on, at once where there is something to write. The one before takes nothing more;
// what it took last was so many bytes, and is written.
func (o *outbox) redirect(wake func(), written int) {
	o.mu.Lock()
	o.wake = wake
	o.bytes -= written
	o.busy = true
	o.mu.Unlock()
	wake()
}

// keepFrames is how many frames an idle outbox keeps room for.
const keepFrames = 16

// take moves what is queued to dst, having been told how many bytes of the last take are written by now. When nothing is
// queued the drain is over: the next put wakes the door again.
func (o *outbox) take(dst []*engineio.Frame, written int) []*engineio.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= written
	if o.lull != nil && o.little() {
		close(o.lull)
		o.lull = nil
	}
	dst = append(dst, o.frames...)
	if cap(o.frames) > keepFrames {
		o.frames = nil
	} else {
		clear(o.frames)
		o.frames = o.frames[:0]
	}
	if len(dst) == 0 {
		o.busy = false
		if o.empty != nil {
			close(o.empty)
			o.empty = nil
		}
	}
	return dst
}

// waitLull waits until little is queued. Who asks for much in one go is answered as fast as he reads, and not closed as too
// slow for the answers. It is false where ctx ended.
func (o *outbox) waitLull(ctx context.Context) bool {
	o.mu.Lock()
	if o.little() {
		o.mu.Unlock()
		return ctx.Err() == nil
	}
	if o.lull == nil {
		o.lull = make(chan struct{})
	}
	lull := o.lull
	o.mu.Unlock()
	select {
	case <-lull:
		return true
	case <-ctx.Done():
		return false
	}
}

// close stops put. The returned channel closes when all that was queued has been written; it is nil where that is so.
func (o *outbox) close() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	if !o.busy {
		return nil
	}
	if o.empty == nil {
		o.empty = make(chan struct{})
	}
	return o.empty
}
