package redis

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// errStale: the publish stated an epoch that is not Redis' any more.
var errStale = fmt.Errorf("%w: the epoch has moved on", broker.ErrUnavailable)

// Publish implements broker.Broker: one call of one script for each message, all in one trip.
func (b *Broker) Publish(ctx context.Context, pubs ...broker.Publication) []broker.Receipt {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	receipts := make([]broker.Receipt, len(pubs))
	c, err := b.ask()
	if err == nil {
		err = b.enterSlot(ctx)
	}
	if err != nil {
		return failed(receipts, err)
	}
	defer func() { <-b.slots }()

	// From the first publish that met another epoch on, all are tried again under the new one, in
	// their order.
	for done := 0; done < len(pubs); {
		epoch, err := b.feed.epochNow(ctx)
		if err != nil {
			return failed(receipts[done:], err, receipts)
		}
		b.publishUnder(ctx, c, epoch, pubs[done:], receipts[done:])
		for done < len(pubs) && !errors.Is(receipts[done].Err, errStale) {
			done++
		}
		if done < len(pubs) {
			b.feed.suspect(epoch)
		}
	}
	return receipts
}

// enterSlot bounds the publishes under way: a full ring of rueidis' heeds no deadline.
func (b *Broker) enterSlot(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// failed puts err on receipts, and returns the whole if it was given a part.
func failed(part []broker.Receipt, err error, whole ...[]broker.Receipt) []broker.Receipt {
	for i := range part {
		part[i] = broker.Receipt{Err: unavailable(err)}
	}
	if len(whole) > 0 {
		return whole[0]
	}
	return part
}

func (b *Broker) publishUnder(ctx context.Context, c rueidis.Client, epoch string, pubs []broker.Publication, receipts []broker.Receipt) {
	calls := make([]call, len(pubs))
	limit, ttl, window, large := strconv.Itoa(b.cfg.History), ms(b.cfg.TTL), ms(broker.Idempotency), strconv.Itoa(largeBody)
	_, known := b.feed.known()
	taken := strconv.FormatUint(known, 10)
	for i, p := range pubs {
		calls[i] = call{
			keys: []string{b.keys.head, b.keys.stream + p.Room, b.keys.index + p.Room, b.keys.older + p.Room, b.keys.notes + p.Room},
			args: []string{epoch, b.keys.channel + p.Room, idDigest(p), p.Body, limit, ttl, window, p.User + "\x00" + p.ID, large, taken},
		}
	}
	for i, res := range publishScript.inOrder(ctx, c, calls...) {
		text, err := res.ToString()
		if err != nil {
			b.feed.noteRefusal(err)
			receipts[i] = broker.Receipt{Err: unavailable(err)}
			continue
		}
		receipts[i] = parseReceipt(epoch, text)
		if r := &receipts[i]; r.Err == nil && !b.feed.acknowledge(pubs[i].Room, r.Offset, r.At) {
			*r = broker.Receipt{Err: errStale} // it came late: the new epoch has that message, or takes it now
		}
	}
}

// idDigest is what the index of a room knows a publication by: 80 bits, of which two alike among
// those of one room do not come about by chance.
func idDigest(p broker.Publication) string {
	sum := sha256.Sum256([]byte(p.User + "\x00" + p.ID))
	return string(sum[:10])
}

func parseReceipt(epoch, text string) broker.Receipt {
	f := strings.Fields(text)
	if len(f) > 0 && f[0] == "!" {
		return broker.Receipt{Err: errStale}
	}
	if len(f) != 5 {
		return broker.Receipt{Err: unavailable(fmt.Errorf("unexpected answer %.80q", text))}
	}
	r := broker.Receipt{Duplicate: f[0] == "="}
	r.Offset = broker.Offset{Epoch: epoch, Digest: f[4]}
	var err1, err2, err3 error
	r.Offset.Pos, err1 = strconv.ParseUint(f[1], 10, 63)
	r.Offset.Seq, err2 = strconv.ParseUint(f[2], 10, 63)
	r.At, err3 = strconv.ParseInt(f[3], 10, 64)
	r.Err = unavailable(errors.Join(err1, err2, err3))
	return r
}
