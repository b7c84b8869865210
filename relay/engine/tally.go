package engine

import (
	"encoding/binary"
	"sync"
	"time"

	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/socket"
)

// While an address' turns are far apart, what a flooder has sent waits, and it would be long before it is closed for
// that. So of what has come over a WebSocket the packets are counted, by kind, as soon as its address waits: whoever has
// sent more than it could have without being closed, had each been taken as it came, is closed.
const (
	tallyInterval = 200 * time.Millisecond // between two looks at what waits in a socket
	tallyBytes    = 128 << 10              // looked at
	tallyStep     = 8 << 10                // of them, until the client is judged
	tallyPackets  = 16                     // past so many at a time more are read
	tallyPrice    = 20 * time.Microsecond  // of a look, about
	notePrice     = 200 * time.Nanosecond  // of each packet beside that
	kindBytes     = 48                     // of a packet, which say what it is
)

// tally finds the frames in what comes over a WebSocket, which may be looked at before it is read.
type tally struct {
	skip  int             // bytes of a frame that are to come
	ahead int             // bytes that have been looked at, and not been read
	head  [maxHeader]byte // of a frame, as far as it has come
	have  int8            // bytes of head
	watch *watch          // nil: nothing has waited, and nothing is counted

	closed    bool // a close frame has come
	fragments int  // that have been found, and not been paid for
}

// watch counts packets.
type watch struct {
	// immutable
	kind func(message []byte, size int) (k limit.Kind, n int) // Config.KindOf

	next     time.Time // when to look ahead again
	arrivals *limit.Arrivals
	packets  limit.Packets // that arrivals have not been told of
}

// read takes what has been read.
func (t *tally) read(b []byte) {
	n := min(t.ahead, len(b))
	t.ahead -= n
	t.count(b[n:])
}

// peeked takes what is to be read.
func (t *tally) peeked(b []byte) {
	if t.ahead < len(b) {
		t.count(b[t.ahead:])
		t.ahead = len(b)
	}
}

// count counts the frames that begin in b.
func (t *tally) count(b []byte) {
	for len(b) > 0 {
		if t.skip > 0 {
			n := min(t.skip, len(b))
			t.skip -= n
			b = b[n:]
			continue
		}
		had := int(t.have)
		n := copy(t.head[had:], b)
		size, payload := frameOf(t.head[:had+n])
		if size == 0 { // the header goes on in what comes next
			t.have += int8(n)
			return
		}
		b = b[size-had:]
		t.have, t.skip = 0, payload
		switch t.head[0] & 0x0f {
		case 0:
			t.fragments++
		case websocketClose:
			t.closed = true
		}
		if t.watch != nil {
			t.watch.note(t.head[:size], b[:min(len(b), payload, kindBytes)], payload)
		}
	}
}

// frameOf returns the size of the header that head begins with, and that of the payload; 0 if the header is not all
// there (RFC 6455, 5.2).
func frameOf(head []byte) (size, payload int) {
	if len(head) < 2 {
		return 0, 0
	}
	size, payload = 2, int(head[1]&0x7f)
	more := 0
	switch payload {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	masked := head[1]&0x80 != 0
	if masked {
		size += 4
	}
	if size += more; len(head) < size {
		return 0, 0
	}
	switch more {
	case 2:
		payload = int(binary.BigEndian.Uint16(head[2:]))
	case 8:
		payload = int(binary.BigEndian.Uint64(head[2:]) & (1<<62 - 1))
	}
	return size, payload
}

// Opcodes of frames with their FIN bit (RFC 6455, 5.2). What is compressed can't be told.
const (
	wholeText = 0x81
	wholePing = 0x89
	wholePong = 0x8a

	websocketClose = 8 // without it
)

// note counts a frame, if it is a packet whose kind can be told: other limits are on the rest.
func (w *watch) note(head, payload []byte, size int) {
	switch {
	case head[0]&0x0f == 0: // a fragment
		w.packets[limit.Bytes] += framingPrice * len(head)
	case head[0] == wholePing, head[0] == wholePong:
		w.packets[limit.Event]++
	case head[0] == wholeText && len(payload) > 0 && head[1]&0x80 != 0:
		var text [kindBytes]byte
		mask := head[len(head)-4:]
		for i, c := range payload {
			text[i] = c ^ mask[i%4]
		}
		switch engineio.Type(text[0]) {
		case engineio.Pong:
			w.packets[limit.Event]++
		case engineio.Message:
			if w.kind == nil {
				return
			}
			k, n := w.kind(text[1:len(payload)], size-1)
			w.packets[k] += n
		}
	}
}

// messages is how many have been counted, of any kind.
func (w *watch) messages() (n int) {
	for k, packets := range w.packets {
		if limit.Kind(k) != limit.Bytes {
			n += packets
		}
	}
	return n
}

// isFlood reports whether more has come than the client may send.
func (t *tally) isFlood() bool {
	w := t.watch
	if w == nil || w.packets == (limit.Packets{}) {
		return false
	}
	packets := w.packets
	w.packets = limit.Packets{}
	return w.arrivals.Count(&packets)
}

// await waits for the turn of something that has come. If it had to wait, what waits behind it is looked at.
func (t *webSocketTransport) await(price time.Duration) {
	if t.s.awaitTurn(price) {
		t.conn.readMu.Lock()
		defer t.conn.readMu.Unlock()
		t.lookAhead()
	}
}

// awaitRead is await for what is to be read. t.conn.readMu is held.
func (t *webSocketTransport) awaitRead() {
	if t.s.awaitTurn(readPrice + packetPrice) {
		t.lookAhead()
	}
}

var peekBuffers = sync.Pool{New: func() any { return new([tallyBytes]byte) }}

// lookAhead counts what has come and was not read, unless that has been done of late. t.conn.readMu is held.
func (t *webSocketTransport) lookAhead() {
	c := t.conn
	if c.tally.watch == nil {
		c.tally.watch = &watch{kind: t.srv.cfg.KindOf, arrivals: limit.NewArrivals(&t.srv.cfg.Rates)}
	}
	w, now := c.tally.watch, time.Now()
	if c.fd == nil || c.shed || now.Before(w.next) {
		return
	}
	w.next = now.Add(tallyInterval)
	t.s.spend(tallyPrice)
	b := peekBuffers.Get().(*[tallyBytes]byte)
	defer peekBuffers.Put(b)
	n := 0
	if c.fd.Control(func(fd uintptr) { n = socket.TryPeek(fd, b[:]) }) != nil {
		return // it is closed, which who reads is told
	}
	packets := c.judgePeeked(b[:n])
	t.s.spend(time.Duration(packets) * notePrice)
	if packets >= tallyPackets && !c.shed {
		c.readMore()
	}
}

// judgePeeked counts what is to be read, step by step, until it is enough to close the client for, and returns how many
// packets it has found. c.readMu is held.
func (c *rawConn) judgePeeked(b []byte) (packets int) {
	for end := c.tally.ahead; end < len(b) && !c.shed; {
		end = min(end+tallyStep, len(b))
		before := c.tally.watch.messages()
		c.tally.peeked(b[:end])
		packets += c.tally.watch.messages() - before
		c.judge()
	}
	return packets
}
