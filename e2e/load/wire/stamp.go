package wire

import (
	"bytes"
	"time"
)

// Stamp is what a payload says of its message.
type Stamp struct {
	Publisher int
	Seq       uint32 // counts the publisher's messages from 1
	sent      uint64 // microseconds, modulo 2^30
}

// Bounds of stamps: they are as short as the smallest payload worth measuring.
const (
	MinPayload    = 16 // bytes: quotes, mark, publisher, sequence, time
	MaxPublishers = 1 << 18
	MaxSeq        = 1 << 24

	clock = 1 << 30 // microseconds: 18 minutes, far longer than a message takes
)

// mark is in no name, id or offset that a relay makes up.
var mark = []byte("!~")

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"

var values = func() (v [256]byte) {
	for i := range len(digits) {
		v[digits[i]] = byte(i)
	}
	return v
}()

// Payload makes a payload, a string of JSON, of as many bytes. Put stamps it.
func Payload(size int) []byte {
	p := bytes.Repeat([]byte("x"), max(size, MinPayload))
	p[0], p[len(p)-1] = '"', '"'
	copy(p[1:], mark)
	return p
}

// Put stamps a payload.
func Put(payload []byte, publisher int, seq uint32, sent time.Duration) {
	put(payload[3:6], uint64(publisher))
	put(payload[6:10], uint64(seq))
	put(payload[10:15], uint64(sent.Microseconds())%clock)
}

func put(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i, v = i-1, v/64 {
		b[i] = digits[v%64]
	}
}

func get(b []byte) (v uint64) {
	for _, c := range b {
		v = v*64 + uint64(values[c])
	}
	return v
}

// NextStamp finds the first stamp in b.
func NextStamp(b []byte) (s Stamp, rest []byte, ok bool) {
	i := bytes.Index(b, mark)
	if i < 0 || len(b) < i+14 {
		return s, nil, false
	}
	b = b[i+2:]
	return Stamp{int(get(b[0:3])), uint32(get(b[3:7])), get(b[7:12])}, b[12:], true
}

// Age returns how long ago the message was sent, if now is by the clock that Put was given.
func (s Stamp) Age(now time.Duration) time.Duration {
	return time.Duration((uint64(now.Microseconds())-s.sent)%clock) * time.Microsecond
}
