package broker

import (
	"errors"
	"strconv"
	"strings"
)

// Offset names a message: by position and sequence where it is, by epoch and digest which history's
// it is. With Seq 0 it names a moment instead: all that came by position Pos, which was read at At.
type Offset struct {
	Epoch  string
	Pos    uint64
	Seq    uint64
	Digest string
	At     int64 // milliseconds since 1970 by the store's clock; only where Seq is 0
}

// MaxOffset bounds the text of an offset, in bytes.
const MaxOffset = 96

var errOffset = errors.New("not an offset")

// IsZero reports whether o names nothing.
func (o Offset) IsZero() bool { return o == Offset{} }

// Append writes o as text, "epoch.pos.seq.digest" with numbers in base 36. Clients must not read
// anything into it.
func (o Offset) Append(dst []byte) []byte {
	dst = append(dst, o.Epoch...)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, o.Pos, 36)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, o.Seq, 36)
	dst = append(dst, '.')
	if o.Seq == 0 {
		return strconv.AppendInt(dst, o.At, 36)
	}
	return append(dst, o.Digest...)
}

func (o Offset) String() string { return string(o.Append(nil)) }

// ParseOffset reads what Append wrote.
func ParseOffset(s string) (Offset, error) {
	part := strings.Split(s, ".")
	if len(s) > MaxOffset || len(part) != 4 || part[0] == "" || !plain(part[0]) || !plain(part[3]) {
		return Offset{}, errOffset
	}
	pos, err1 := strconv.ParseUint(part[1], 36, 63)
	seq, err2 := strconv.ParseUint(part[2], 36, 63)
	if err1 != nil || err2 != nil {
		return Offset{}, errOffset
	}
	o := Offset{Epoch: part[0], Pos: pos, Seq: seq}
	if seq > 0 {
		o.Digest = part[3]
		return o, nil
	}
	at, err := strconv.ParseInt(part[3], 36, 64)
	if err != nil || at < 0 {
		return Offset{}, errOffset
	}
	o.At = at
	return o, nil
}

func plain(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// Follows reports whether m comes right after the message (or moment) that tail names. A room whose
// history has expired whole begins again with sequence 1, which is no gap for somebody who was
// there. An annotation has the sequence of the message before it.
func (m Message) Follows(tail Offset) bool {
	if m.Pos <= tail.Pos || m.Epoch != tail.Epoch {
		return false
	}
	if m.Seq == 1 && m.Prev == "" {
		return true
	}
	seq := tail.Seq + 1
	if m.Note != nil {
		seq = tail.Seq
	}
	return tail.Seq > 0 && m.Seq == seq && m.Prev == tail.Digest
}
