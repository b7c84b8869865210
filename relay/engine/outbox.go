package engine

import (
	"context"
	"slices"
	"sync"

	"setu/relay/engineio"
)

// outbox is what waits to be written to one client: shared frames, bounded in bytes. It does not
// know how they go out: put wakes the transport when there is something and nobody is draining, and
// the transport takes until nothing is left.
type outbox struct {
	limit int // in bytes; immutable

	mu      sync.Mutex // guards what follows
	wake    func()     // must not block; called without mu
	frames  []*engineio.Frame
	bytes   int           // of frames, of what is held, and of what was taken and is not written yet
	queued  uint64        // frames so far, without those that are held
	taken   uint64        // of queued, in their order: those that are being written, or have been
	held    *held         // nil unless put is to hold
	busy    bool          // somebody drains
	closing bool          // nothing more is taken
	empty   chan struct{} // closed when a closing outbox has nothing left; nil while nobody waits
	low     chan struct{} // closed at low water; nil while nobody waits
}

// held is what put took while the client waits for an answer that comes before it.
type held struct {
	frames []*engineio.Frame
	bytes  int
}

// lowWater is the part of the limit up to which the next frame fits, whatever its size: one long
// answer alone makes nobody slow.
func (o *outbox) lowWater() int { return o.limit / 4 }

// put queues f, or holds it. It reports false if f does not fit, since the client is too slow, or if
// the outbox is closing.
func (o *outbox) put(f *engineio.Frame) bool {
	o.mu.Lock()
	if o.closing || o.bytes > o.lowWater() && o.bytes+f.Size() > o.limit {
		o.mu.Unlock()
		return false
	}
	o.bytes += f.Size()
	if o.held != nil {
		o.held.frames = append(o.held.frames, f)
		o.held.bytes += f.Size()
		o.mu.Unlock()
		return true
	}
	o.queue(f)
	return true
}

// bypass queues frames before all that is held, so that one write may carry them. What is held does not
// count against them at low water: the client may have waited for it, but has not been slow.
func (o *outbox) bypass(frames ...*engineio.Frame) bool {
	size := 0
	for _, f := range frames {
		size += f.Size()
	}
	o.mu.Lock()
	if o.closing || !o.isLow() && o.bytes+size > o.limit {
		o.mu.Unlock()
		return false
	}
	o.bytes += size
	o.queue(frames...)
	return true
}

// queue adds frames that are counted already. It unlocks o.mu, and wakes the transport if nobody is
// draining.
func (o *outbox) queue(frames ...*engineio.Frame) {
	o.frames = append(o.frames, frames...)
	o.queued += uint64(len(frames))
	idle := !o.busy
	o.busy = true
	wake := o.wake
	o.mu.Unlock()
	if idle {
		wake()
	}
}

// hold has put hold what it takes from now on.
func (o *outbox) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held == nil && !o.closing {
		o.held = &held{}
	}
}

// release ends a hold, if there is one: what was held is queued, before what put takes next.
func (o *outbox) release() {
	o.mu.Lock()
	was := o.held
	o.held = nil
	if was == nil || len(was.frames) == 0 {
		o.mu.Unlock()
		return
	}
	o.queue(was.frames...)
}

// takeHeld returns what is held, which is queued and counted no more. The hold goes on.
func (o *outbox) takeHeld() []*engineio.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.dropHeld()
	if was == nil {
		return nil
	}
	o.held = &held{}
	return was.frames
}

// dropHeld ends a hold, and returns what was held. o.mu is held.
func (o *outbox) dropHeld() *held {
	was := o.held
	if was != nil {
		o.held = nil
		o.bytes -= was.bytes
		o.noteLow()
	}
	return was
}

// isLow reports whether little is queued, whatever is held. o.mu is held.
func (o *outbox) isLow() bool {
	queued := o.bytes
	if o.held != nil {
		queued -= o.held.bytes
	}
	return queued <= o.lowWater()
}

// noteLow wakes whoever waits for low water, if it is reached. o.mu is held.
func (o *outbox) noteLow() {
	if o.low != nil && o.isLow() {
		close(o.low)
		o.low = nil
	}
}

// redirect has another transport woken from now on, at once if there is something to write. The one
// before takes nothing more; what it took last was written bytes, and has been written.
func (o *outbox) redirect(wake func(), written int) {
	o.mu.Lock()
	o.wake = wake
	o.bytes -= written
	o.busy = true
	o.mu.Unlock()
	wake()
}

// idleFrames is for how many frames an idle outbox keeps room.
const idleFrames = 16

// take moves what is queued to dst. written is how many bytes of the last take are written by now.
// When nothing is queued the drain is over: the next put wakes the transport again.
func (o *outbox) take(dst []*engineio.Frame, written int) []*engineio.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.takeFirst(len(o.frames), dst, written)
}

// takePackets is take for no more frames than have this many packets together, but for one at least.
// left reports whether others are queued.
func (o *outbox) takePackets(most, written int) (frames []*engineio.Frame, left bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for packets := 0; n < len(o.frames); n++ {
		if packets += o.frames[n].Packets(); packets > most && n > 0 {
			break
		}
	}
	frames = o.takeFirst(n, nil, written)
	return frames, len(o.frames) > 0
}

// takeFirst takes the first n frames that are queued. o.mu is held.
func (o *outbox) takeFirst(n int, dst []*engineio.Frame, written int) []*engineio.Frame {
	o.bytes -= written
	o.noteLow()
	o.taken += uint64(n)
	dst = append(dst, o.frames[:n]...)
	if n == len(o.frames) && cap(o.frames) > idleFrames {
		o.frames = nil
	} else {
		o.frames = slices.Delete(o.frames, 0, n)
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

// next is the number of the frame that is queued next.
func (o *outbox) next() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued + 1
}

// hasTaken reports whether the frame with this number is being written, or has been.
func (o *outbox) hasTaken(number uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taken >= number
}

// waitLowWater waits until little is queued: a client that asks for much in one go is answered as
// fast as it reads, and is not closed as too slow for the answers. It reports false if ctx ended.
func (o *outbox) waitLowWater(ctx context.Context) bool {
	o.mu.Lock()
	if o.isLow() {
		o.mu.Unlock()
		return ctx.Err() == nil
	}
	if o.low == nil {
		o.low = make(chan struct{})
	}
	low := o.low
	o.mu.Unlock()
	select {
	case <-low:
		return true
	case <-ctx.Done():
		return false
	}
}

// close stops put. The returned channel closes when all that was queued has been written; it is nil
// if that is so already. What is held is dropped: the answer before it won't come, and a client that
// comes back is sent what it has not seen.
func (o *outbox) close() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	o.dropHeld()
	if !o.busy {
		return nil
	}
	if o.empty == nil {
		o.empty = make(chan struct{})
	}
	return o.empty
}
