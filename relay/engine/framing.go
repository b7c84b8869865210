package engine

import (
	"io"
	"sync"
)

// A frame that carries a byte or none costs about as much to take as one that carries a thousand, and a
// message may be made of any number of them (RFC 6455, 5.4). So of what comes over a WebSocket, all that
// is neither payload nor a message's or a ping's first header counts for more: a fragment as some 800 bytes.
const (
	framingPrice = 128      // bytes of BYTES_RATE for each of those
	maxHeader    = 14       // bytes (RFC 6455, 5.2)
	maxRead      = 64 << 10 // bytes of payload that are asked for at once
)

// framing tells what messages carry from what they are wrapped in.
type framing struct {
	inflating *inflating // nil: messages are not compressed; set before anything is read

	message io.Reader // that is read; owned by the connection's reader

	mu    sync.Mutex // guards what follows: who closes a WebSocket reads from it, too
	asked int        // bytes of payload that are asked for: so much of what comes now may be payload
	over  int        // bytes that came, were not payload so far, and have not been priced
}

// of returns what reads a message, and counts its payload.
func (f *framing) of(message io.Reader) io.Reader {
	f.message = message
	if f.inflating != nil {
		f.begin()
	}
	return f
}

// Read implements io.Reader.
func (f *framing) Read(p []byte) (int, error) {
	p = p[:min(len(p), maxRead)]
	f.note(len(p), 0)
	n, err := f.message.Read(p)
	f.note(0, n)
	if f.inflating != nil && n > 0 && (err == nil || err == io.EOF) {
		if refused := f.settle(n); refused != nil {
			return n, refused
		}
	}
	if err == io.EOF {
		f.allow(0)
	}
	return n, err
}

// note says how much payload is asked for now, and has come.
func (f *framing) note(asked, came int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = asked
	f.over -= came
}

// allow notes the end of a message, or a ping, of so much payload: other limits are on these.
func (f *framing) allow(payload int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = max(0, f.over-payload-maxHeader)
}

// price takes n bytes that come, and returns what is to be paid beside them: for what came before and can't
// be payload any more. What may still be read is asked for, or was read ahead.
func (f *framing) price(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	owed := max(0, f.over-f.asked-mostAhead)
	f.over += n - owed
	if f.inflating != nil {
		f.inflating.came += n
	}
	return framingPrice * owed
}

// received is Session.received for what came over this WebSocket.
func (t *webSocketTransport) received(n int) (ok bool) {
	return t.s.receivedFramed(n, t.framing.price(n))
}
