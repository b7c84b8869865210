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
	bytes   int    // of frames, of what is held, and of what was taken and is not written yet
	aside   *aside // what is held; nil where nothing is to be
	busy    bool
	closing bool          // takes nothing more
	empty   chan struct{} // closed when a closing outbox has nothing left; nil while nobody waits
	lull    chan struct{} // closed when little is queued; nil while nobody waits
}

// aside is what put took while the client waits for an answer that comes before it.
type aside struct {
	frames []*engineio.Frame
	bytes  int
}

// little is how much may be queued for the next frame to fit, whatever its size: one long answer alone makes nobody slow.
func (o *outbox) little() bool { return o.bytes <= o.limit/4 }

// put queues f, or holds it. It is false where f does not fit: the client is too slow; or where the outbox is closing.
func (o *outbox) put(f *engineio.Frame) bool {
	o.mu.Lock()
	if o.closing || !o.little() && o.bytes+f.Size() > o.limit {
		o.mu.Unlock()
		return false
	}
	o.bytes += f.Size()
	if o.aside != nil {
		o.aside.frames = append(o.aside.frames, f)
		o.aside.bytes += f.Size()
		o.mu.Unlock()
		return true
	}
	o.queue(f)
	return true
}

// ahead queues f before all that is held. What is held does not count against it where little else is queued: for that
// the client may have waited, but not been slow.
func (o *outbox) ahead(f *engineio.Frame) bool {
	o.mu.Lock()
	if o.closing || !o.calmed() && o.bytes+f.Size() > o.limit {
		o.mu.Unlock()
		return false
	}
	o.bytes += f.Size()
	o.queue(f)
	return true
}

// queue adds frames that are counted already. It unlocks o.mu, and wakes the door where nobody is draining.
func (o *outbox) queue(frames ...*engineio.Frame) {
	o.frames = append(o.frames, frames...)
	idle := !o.busy
	o.busy = true
	wake := o.wake
	o.mu.Unlock()
	if idle {
		wake()
	}
}

// hold has put hold what it takes from now on. It counts as what is queued does, and is not written.
func (o *outbox) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.aside == nil && !o.closing {
		o.aside = &aside{}
	}
}

// release ends a hold, if there is one: what was held is queued, before what put takes next.
func (o *outbox) release() {
	o.mu.Lock()
	held := o.aside
	o.aside = nil
	if held == nil || len(held.frames) == 0 {
		o.mu.Unlock()
		return
	}
	o.queue(held.frames...)
}

// takeHeld returns what is held, which is queued and counted no more. The hold goes on.
func (o *outbox) takeHeld() []*engineio.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	held := o.dropHeld()
	if held == nil {
		return nil
	}
	o.aside = &aside{}
	return held.frames
}

// dropHeld ends a hold, and returns what was held. o.mu is held.
func (o *outbox) dropHeld() *aside {
	held := o.aside
	if held != nil {
		o.aside = nil
		o.bytes -= held.bytes
		o.calm()
	}
	return held
}

// calmed tells whether little is queued, whatever is held. o.mu is held.
func (o *outbox) calmed() bool {
	queued := o.bytes
	if o.aside != nil {
		queued -= o.aside.bytes
	}
	return queued <= o.limit/4
}

// calm lets go whoever waits until little is queued, if so. o.mu is held.
func (o *outbox) calm() {
	if o.lull != nil && o.calmed() {
		close(o.lull)
		o.lull = nil
	}
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
	o.calm()
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
	if o.calmed() {
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

// close stops put. The returned channel closes when all that was queued has been written; it is nil where that is so. What is
// held is let go of: the answer before it won't come, and a client that comes back is sent what it has not seen.
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
