package redis

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// What is stored in Redis has a format, whose number head holds, so that two versions of the relay
// can share a Redis during a deploy:
//
//   - What a later version adds, this one skips: fields of a stream's entry after m, fields of
//     hashes, members of JSON, flags of a membership, kinds of pushes, and what a probe carries at
//     its end. Adding needs no other format. What is added to a user, peer or session lasts until a
//     relay that does not know it writes that anew.
//   - What this version would misread has another format. The relay that first writes such a thing
//     states it; whoever does not know it is not ready from then on, and neither reads nor writes.
//
// Format 2 has annotations in the streams, which a relay of before takes for messages that do not follow. It
// is stated with the first of them: until then relays of both formats share a Redis.
//
// A head without format was written before there were formats, and is of format 1. The sessions of
// that time are not: they are answered ErrGone, here and there.
const format = 2

// errFormat: what is stored in Redis is of a later format.
var errFormat = errors.New("what Redis holds was written by a later version of this relay")

// checkFormat finds out whether this relay may read and write, from what head holds.
func (b *Broker) checkFormat(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err == nil && n <= format {
		b.refused.Store(nil)
		return nil
	}
	refused := fmt.Errorf("%w: %w: format %.20q, and this one knows those up to %d", broker.ErrUnavailable, errFormat, text, format)
	b.refused.Store(&refused)
	return refused
}

// use returns the client, or an error if Redis has not been reached yet, or may not be used.
func (b *Broker) use() (rueidis.Client, error) {
	if refused := b.refused.Load(); refused != nil && b.ctx.Err() == nil {
		return nil, *refused
	}
	return b.reached()
}

// ask is use for a call that somebody waits for: when Redis has been silent for as long as such a call may
// take, the next one does not find that out anew.
func (b *Broker) ask() (rueidis.Client, error) {
	if b.feed.isSilent() {
		return nil, fmt.Errorf("%w: %w", broker.ErrUnavailable, errSilent)
	}
	return b.use()
}
