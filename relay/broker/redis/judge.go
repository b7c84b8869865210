package redis

import (
	"time"

	"setu/relay/broker"
)

// clockSlack is how far the clocks of two servers that were Redis one after the other may differ,
// when it is judged whether a message can have expired.
const clockSlack = 2 * time.Second

// found is what a stream holds: of missed.lua, what came after a message; of newest.lua, its newest.
type found struct {
	oldest  broker.Offset // position and sequence of the oldest message; zero: the room is empty, or entries begin with the message asked for
	entries []broker.Message
	more    bool   // the stream holds more, in the direction of reading
	big     uint64 // the sequence after which no body is large; of newest.lua
}

// judge compares what a stream holds with what was delivered of it: the messages to deliver now, or
// why that can't be. ReasonEpoch means that the stream is not the one that was delivered. now is of
// the moment at which the stream was read.
func (s *subscription) judge(have found, now tail, away, ttl time.Duration) ([]broker.Message, string) {
	e, followed := have.entries, s.tail.Seq > 0
	if followed && len(e) > 0 && e[0].Pos == s.tail.Pos && e[0].Seq == s.tail.Seq {
		if e[0].Digest != s.tail.Digest {
			return nil, broker.ReasonEpoch
		}
		return e[1:], ""
	}
	unseen := away >= ttl                                             // something may have come and gone while nobody looked
	lives := s.tailAt + (ttl - min(clockSlack, ttl/2)).Milliseconds() // until then, by Redis' clock, the tail's message can't have expired
	switch {
	case have.oldest.Seq == 0 && followed && now.now < lives:
		return nil, broker.ReasonEpoch
	case have.oldest.Seq == 0 && unseen:
		return nil, broker.ReasonExpired
	case have.oldest.Seq == 0:
		return nil, ""
	case have.oldest.Pos <= s.tail.Pos:
		return nil, broker.ReasonEpoch // messages stand where there were none, or older ones are there and ours is not
	case followed && len(e) > 0 && e[0].Prev == s.tail.Digest && e[0].Seq == s.tail.Seq+1:
		return e, "" // ours is the last that was let go of
	case have.oldest.Seq == 1 && len(e) > 0 && followed && e[0].At < lives:
		return nil, broker.ReasonEpoch // begun anew too early
	case have.oldest.Seq == 1 && unseen:
		return nil, broker.ReasonExpired
	case have.oldest.Seq == 1 && len(e) > 0:
		return e, "" // the room began, or expired whole and begun anew
	}
	return nil, broker.ReasonTrimmed
}
