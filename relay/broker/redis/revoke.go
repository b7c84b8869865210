package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// How long Revoke waits for relays to say that they hold what was stored, and how often it asks.
const (
	revokeWait  = 2 * time.Second
	minHoldPoll = 2 * time.Millisecond
	maxHoldPoll = 100 * time.Millisecond
)

// Revoke implements broker.Broker.
func (b *Broker) Revoke(ctx context.Context, is broker.Revocation) (broker.Coverage, error) {
	if b.ctx.Err() != nil {
		return broker.Coverage{}, broker.ErrClosed
	}
	c, err := b.use()
	if err != nil {
		return broker.Coverage{}, err
	}
	if !b.feed.isConnected() {
		return broker.Coverage{}, fmt.Errorf("%w: not stored", broker.ErrUnavailable)
	}
	out, err := revoke(ctx, c, b.keys, b.revoked.max, is)
	var refused *rueidis.RedisError
	if errors.As(err, &refused) {
		b.feed.noteRefusal(refused)
	}
	return out, err
}

func (f *feed) isConnected() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.phase != disconnected
}

// Revoke is for who is no relay of the fleet: it does what Broker.Revoke does, over a connection of
// its own.
func Revoke(ctx context.Context, cfg Config, is broker.Revocation) (broker.Coverage, error) {
	opt, err := options(cfg)
	if err != nil {
		return broker.Coverage{}, err
	}
	opt.DisableCache = true
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	b := &Broker{opt: opt} // which hides the password
	c, err := rueidis.NewClient(opt)
	if err != nil {
		return broker.Coverage{}, unavailable(b.redact(err))
	}
	defer c.Close()
	out, err := revoke(ctx, c, newKeys(cfg.Prefix, opt.SelectDB), broker.MaxRevocations, is)
	return out, b.redact(err)
}

// revoke stores a revocation and waits until all relays hold it.
func revoke(ctx context.Context, c rueidis.Client, k keys, most int, is broker.Revocation) (out broker.Coverage, err error) {
	if err := is.Check(); err != nil {
		return out, err
	}
	storing, cancel := context.WithTimeout(ctx, connTimeout)
	defer cancel()
	numbers, err := storeRevocations(storing, c, k, most, is)
	switch {
	case err != nil:
		return out, fmt.Errorf("%w: not known to be stored: %w", broker.ErrUnavailable, err)
	case numbers[0] == 0:
		return out, broker.ErrTooMany
	}
	ctx, cancel = context.WithTimeout(ctx, revokeWait)
	defer cancel()
	out, err = awaitHeld(ctx, c, k, max(numbers[0], 0)) // one that has expired, everybody holds
	out.Stored = true
	if out.Unreached > 0 || err != nil {
		err = fmt.Errorf("%w: stored, and %d of %d relays have not said that they hold it", broker.ErrUnavailable, out.Unreached, out.Holds+out.Unreached)
	}
	return out, err
}

// storeRevocations stores what is at most restoreBatch, and returns the number of each: that of the
// change which it was, now or before; 0 if there are too many, -1 if it has expired.
func storeRevocations(ctx context.Context, c rueidis.Client, k keys, most int, all ...broker.Revocation) ([]int64, error) {
	do := call{keys: []string{k.head, k.revoked, k.revokedLog, k.revokedEnds}, args: []string{k.revocations, strconv.Itoa(most), strconv.Itoa(format)}}
	for _, is := range all {
		do.args = append(do.args, is.Subject(), strconv.FormatInt(is.IssuedBefore, 10), strconv.FormatInt(is.Until, 10), flag(is.Reauth))
	}
	out, err := revokeScript.run(ctx, c, do)[0].AsStrSlice()
	switch {
	case err != nil:
		return nil, err
	case len(out) == 1:
		return nil, fmt.Errorf("%w: format %.20q, and this one knows those up to %d", errFormat, out[0], format)
	case len(out) != len(all)+1:
		return nil, errors.New("not what a relay's script answers")
	}
	numbers := make([]int64, len(all))
	for i := range all {
		if numbers[i], err = strconv.ParseInt(out[i+1], 10, 63); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// awaitHeld waits until all relays whose leases hold have noted a change, or one after it.
func awaitHeld(ctx context.Context, c rueidis.Client, k keys, number int64) (out broker.Coverage, err error) {
	do := call{keys: []string{k.lives, k.noted}, args: []string{strconv.FormatInt(number, 10)}}
	for wait := minHoldPoll; ; wait = min(2*wait, maxHoldPoll) {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(wait):
		}
		counts, err := holdsScript.run(ctx, c, do)[0].AsIntSlice()
		if err != nil || len(counts) != 2 {
			if ctx.Err() == nil {
				continue // the connection is made anew
			}
			return out, errors.Join(err, ctx.Err())
		}
		if out.Holds, out.Unreached = int(counts[0]), int(counts[1]); out.Unreached == 0 {
			return out, nil
		}
	}
}
