package engine

import (
	"errors"
	"net"
	"time"
)

// A few bytes may inflate to a thousand times as many. So all that a message inflates to counts for
// BYTES_RATE and MAX_PAYLOAD as if it had come like that. And a bomb, whose size is out of all proportion to
// what came for it, is too large: else clients that send next to nothing could have the relay hold a large
// message each, for as long as these do not end, or wait for attachments.
const (
	bombBytes = 64 << 10 // of a message, which no bomb has less of
	bombRatio = 32       // of its bytes to those that came for it, which no bomb has less of
)

// errBomb is what reading a bomb returns, once. What is read after it is to be dropped.
var errBomb = errors.New("a message out of all proportion to what came for it")

// inflating is what framing keeps of a WebSocket whose messages may be compressed.
type inflating struct {
	pay func(n int) (ok bool) // for bytes that did not come; immutable

	// guarded by framing.mu
	read int  // of the message, inflated
	came int  // for it so far, with its framing
	bomb bool // it was found to be one
}

// begin notes that a message begins. What has been read ahead may be of it.
func (f *framing) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inflating.read, f.inflating.came, f.inflating.bomb = 0, f.over+maxHeader, false
}

// settle pays for n bytes that were read of a message, as far as they did not come. It returns an error if
// nothing more is to be read of it, or kept.
func (f *framing) settle(n int) error {
	f.mu.Lock()
	i := f.inflating
	i.read += n
	more := max(0, -f.over)
	f.over += more
	found := !i.bomb && i.read > bombBytes && i.read > bombRatio*i.came
	i.bomb = i.bomb || found
	f.mu.Unlock()
	if more > 0 && !i.pay(more) {
		<-time.After(flushTimeout + shedTimeout) // as rawConn.Read does
		return net.ErrClosed
	}
	if found {
		return errBomb
	}
	return nil
}
