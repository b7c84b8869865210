package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// head is where the feed stands, by Redis' clock.
func (f *feed) head() broker.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	return broker.Offset{Epoch: f.epoch, Pos: f.pos, At: time.Now().Add(f.clock).UnixMilli()}
}

// epochNow returns the epoch to publish under; while it is in doubt, it waits, unless Redis refuses to
// have that decided.
func (f *feed) epochNow(ctx context.Context) (string, error) {
	for {
		f.mu.Lock()
		epoch, decided, barred := f.trusted, f.decided, f.barred
		f.mu.Unlock()
		switch {
		case epoch != "":
			return epoch, nil
		case barred != nil:
			return "", barred
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
		f.pos, f.witness = 0, witness{}
		if f.epoch != "" {
			f.former = append(f.former, f.epoch)
			f.former = f.former[max(0, len(f.former)-maxFormer):]
		}
	}
	f.epoch, f.pos, f.parted, f.barred = now.epoch, max(f.pos, now.pos), false, nil
	f.clock = time.Until(time.UnixMilli(now.now))
	f.trusted = f.epoch
	f.wakePublishers()
	f.wakeReachers()
}

// wakePublishers wakes those who wait for the epoch. f.mu is held.
func (f *feed) wakePublishers() {
	close(f.decided)
	f.decided = make(chan struct{})
}

// moveEpoch moves the epoch on from leave, or begins one. If Redis refuses that, as one that is full does,
// the next catch-up tries again. Until then nothing can be told of its rooms, nor published: nobody
// waits for that.
func (u *catchUp) moveEpoch(pos uint64, leave string) error {
	_, err := u.f.b.readEpoch(u.c, pos, leave)
	switch {
	case err == nil:
		u.f.unbar()
		return nil
	case refusal(err.Error()) == nil:
		return err
	case isDemoted(err.Error()):
		return errDemoted
	}
	u.f.noteRefusal(err)
	u.f.bar(err)
	return nil
}

// unbar notes that Redis does not refuse that any more: the next catch-up, which ends this, does not wait.
func (f *feed) unbar() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.barred != nil {
		f.barred, f.catchUps = nil, 0
	}
}

// bar notes that Redis refuses to have the epoch moved on, and fails those who wait.
func (f *feed) bar(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.barred = why
	f.wakePublishers()
	f.leaving = append(f.leaving, f.refuseLoading()...)
}

// maxFormer is how many epochs that were left are known as such.
const maxFormer = 16

// witness is the newest message that was acknowledged here: it is as good as seen, whether or not a
// subscription has brought it. If Redis has lost it, it has to be told.
type witness struct {
	room   string
	offset broker.Offset
	at     int64 // when it was stored, ms
}

// acknowledge notes that a publish was answered. It returns false if the feed has left that epoch, or is
// about to: rooms here have been told of what was lost with it, so that nobody would be told of this.
func (f *feed) acknowledge(room string, offset broker.Offset, at int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if offset.Epoch != f.epoch || f.parted {
		return false
	}
	if offset.Pos > f.witness.offset.Pos {
		f.witness = witness{room, offset, at}
	}
	return true
}

// known is the feed's epoch, and the highest position that was delivered or acknowledged here.
func (f *feed) known() (epoch string, pos uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch, max(f.pos, f.witness.offset.Pos)
}

// readEpoch reads the partition's epoch and position, and moves the epoch on if it is still leave.
func (b *Broker) readEpoch(c rueidis.CoreClient, pos uint64, leave string) (t tail, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, callTimeout)
	defer cancel()
	do := call{keys: []string{b.keys.head}, args: []string{newEpoch(), strconv.FormatUint(pos, 10), leave, strconv.Itoa(format)}}
	f, err := epochScript.run(ctx, c, do)[0].AsStrSlice()
	if err != nil {
		return t, err
	}
	if len(f) != 4 {
		return t, errors.New("cannot read the epoch")
	}
	if err := b.checkFormat(f[3]); err != nil {
		return t, err
	}
	return parseHead(f)
}
