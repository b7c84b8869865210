package redis

import (
	"context"
	"hash/maphash"

	"github.com/redis/rueidis"
)

// How signals go to Redis. Those of one room take one lane, and so keep their order; each lane makes
// one trip at a time. At 280 ms, all lanes carry 14,000 signals/s, and one 900.
const (
	signalLanes = 16
	signalBatch = 256 // signals in one trip
	signalQueue = 512 // of one lane, that wait for their trip; more are dropped
)

type signal struct{ room, payload string }

// signals publishes what nobody stores.
type signals struct {
	// immutable
	b     *Broker
	seed  maphash.Seed
	lanes [signalLanes]chan signal
}

func newSignals(b *Broker) *signals {
	s := &signals{b: b, seed: maphash.MakeSeed()}
	for i := range s.lanes {
		s.lanes[i] = make(chan signal, signalQueue)
	}
	return s
}

func (s *signals) start() {
	for _, lane := range s.lanes {
		s.b.wg.Go(func() { s.run(lane) })
	}
}

// Signal implements broker.Broker. The payload is "s<sender> <body>".
func (b *Broker) Signal(room, sender, body string) {
	lane := b.signals.lanes[maphash.String(b.signals.seed, room)%signalLanes]
	select {
	case lane <- signal{room, "s" + sender + " " + body}:
	default: // a signal may be dropped
	}
}

// run publishes what stands in a lane, many in one trip.
func (s *signals) run(lane chan signal) {
	for {
		var batch []signal
		select {
		case <-s.b.ctx.Done():
			return
		case next := <-lane:
			batch = append(batch, next)
		}
		for len(batch) < signalBatch && len(lane) > 0 {
			batch = append(batch, <-lane)
		}
		c, err := s.b.use()
		if err != nil {
			continue
		}
		cmds := make(rueidis.Commands, len(batch))
		for i, one := range batch {
			cmds[i] = c.B().Publish().Channel(s.b.keys.channel + one.room).Message(one.payload).Build()
		}
		ctx, cancel := context.WithTimeout(s.b.ctx, connTimeout)
		c.DoMulti(ctx, cmds...)
		cancel()
	}
}
