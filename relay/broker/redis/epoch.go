package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"setu/relay/broker"
)

// head is where the feed stands, by Redis' clock.
func (f *feed) head() broker.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	return broker.Offset{Epoch: f.epoch, Pos: f.pos, At: time.Now().Add(f.clock).UnixMilli()}
}

// epochNow returns the epoch to publish under; while it is in doubt, it waits.
func (f *feed) epochNow(ctx context.Context) (string, error) {
	for {
		f.mu.Lock()
		epoch, decided := f.trusted, f.decided
		f.mu.Unlock()
		if epoch != "" {
			return epoch, nil
		}
		select {
		case <-decided:
		case <-ctx.Done():
			return "", ctx.Err()
		case <-f.b.ctx.Done():
			return "", broker.ErrClosed
		}
	}
}

// suspect says that Redis refused epoch.
func (f *feed) suspect(epoch string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.epoch == epoch {
		f.trusted = ""
		f.requestCatchUp()
	}
}

// doubtStore has the epoch and the streams looked at: what Redis has lost elsewhere, it may have
// lost here.
func (f *feed) doubtStore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requestCatchUp()
}

// adoptEpoch says where the feed is, and lets those go on who wait for that. f.mu is held.
func (f *feed) adoptEpoch(now tail) {
	if f.epoch != now.epoch {
		f.pos = 0
	}
	f.epoch, f.pos = now.epoch, max(f.pos, now.pos)
	f.clock = time.Until(time.UnixMilli(now.now))
	f.trusted = f.epoch
	close(f.decided)
	f.decided = make(chan struct{})
	f.wakeReachers()
}

// readEpoch reads the partition's epoch and position, and moves the epoch on if it is still leave.
// It is the first that is read of Redis, and whatever is read after an outage comes after it.
func (b *Broker) readEpoch(pos uint64, leave string) (t tail, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, callTimeout)
	defer cancel()
	c, err := b.reached()
	if err != nil {
		return t, err
	}
	do := call{keys: []string{b.keys.head}, args: []string{newEpoch(), strconv.FormatUint(pos, 10), leave, strconv.Itoa(format)}}
	f, err := epochScript.run(ctx, c, do)[0].AsStrSlice()
	if err != nil || len(f) != 4 {
		return t, errors.Join(err, errors.New("cannot read the epoch"))
	}
	if err := b.checkFormat(f[3]); err != nil {
		return t, err
	}
	return parseHead(f)
}
