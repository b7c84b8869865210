package redis

import "setu/relay/broker"

const (
	recentMessages = 16 // of a room that are known here by their digests
	digestBytes    = 12 // at most, of all versions of the relay
)

// recent is the newest messages of a room that were delivered here: each vouches, as the stream does, that
// what came before it has been had. It holds none of the text that they came in.
type recent struct {
	messages []recentMessage // a ring, once there are recentMessages
	next     int
}

type recentMessage struct {
	pos, seq uint64
	at       int64
	digest   [digestBytes]byte
	length   uint8 // of the digest
}

func (r *recent) add(m broker.Message) {
	if len(m.Digest) > digestBytes {
		return // the stream still knows it
	}
	is := recentMessage{pos: m.Pos, seq: m.Seq, at: m.At, length: uint8(len(m.Digest))}
	copy(is.digest[:], m.Digest)
	if len(r.messages) < recentMessages {
		r.messages = append(r.messages, is)
		return
	}
	r.messages[r.next] = is
	r.next = (r.next + 1) % recentMessages
}

// find returns when a message was stored, if it is one of these.
func (r *recent) find(at broker.Offset) (when int64, ok bool) {
	for _, m := range r.messages {
		if m.pos == at.Pos && m.seq == at.Seq && string(m.digest[:m.length]) == at.Digest {
			return m.at, true
		}
	}
	return 0, false
}
