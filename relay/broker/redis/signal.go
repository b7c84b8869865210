package redis

import (
	"context"
	"hash/maphash"
	"sync/atomic"

	"github.com/redis/rueidis"
)

// How signals go to Redis. Those of one room take one lane, and so keep their order; each lane makes
// one trip at a time. At 280 ms a lane carries 3,600 signals/s.
const (
	signalLanes = 8
	signalBatch = 1024     // signals in one trip
	signalQueue = 1024     // of one lane, that wait for their trip; more are dropped
	signalBytes = 16 << 20 // of all that wait or are on their trip; more are dropped
)

type signal struct{ channel, payload string }

// signals publishes what nobody stores.
type signals struct {
	// immutable
	b     *Broker
	seed  maphash.Seed
	lanes [signalLanes]chan signal

	bytes atomic.Int64 // that wait, or are on their trip
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
	b.signals.send(b.keys.channel+room, "s"+sender+" "+body) // it may be dropped
}

// send has a payload published on a channel, unless too much waits for that. It reports whether it does.
func (s *signals) send(channel, payload string) bool {
	size := int64(len(payload))
	if s.bytes.Add(size) <= signalBytes {
		select {
		case s.lanes[maphash.String(s.seed, channel)%signalLanes] <- signal{channel, payload}:
			return true
		default:
		}
	}
	s.bytes.Add(-size)
	return false
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
		s.publish(batch)
	}
}

// publish makes one trip.
func (s *signals) publish(batch []signal) {
	size := 0
	for _, one := range batch {
		size += len(one.payload)
	}
	defer s.bytes.Add(-int64(size))
	c, err := s.b.use()
	if err != nil {
		return
	}
	cmds := make(rueidis.Commands, len(batch))
	for i, one := range batch {
		cmds[i] = c.B().Publish().Channel(one.channel).Message(one.payload).Build()
	}
	ctx, cancel := context.WithTimeout(s.b.ctx, connTimeout)
	defer cancel()
	c.DoMulti(ctx, cmds...)
}
