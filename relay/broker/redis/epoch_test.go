package redis

import (
	"testing"

	"setu/relay/broker"
)

// What is answered of an epoch that a room has been told of as lost is no acknowledgement, from then on,
// and not only once all rooms have been.
func TestAcknowledgeAcrossEpochs(t *testing.T) {
	f := newFeed(&Broker{keys: newKeys("setu", 0)})
	acknowledges := func(epoch string, want bool) {
		t.Helper()
		if got := f.acknowledge("a", broker.Offset{Epoch: epoch, Pos: 7, Seq: 1}, 1); got != want {
			t.Errorf("an answer of epoch %q in epoch %q, some rooms ahead %t: %t", epoch, f.epoch, f.parted, got)
		}
	}
	f.adoptEpoch(tail{epoch: "one", pos: 6})
	acknowledges("one", true)
	s := &subscription{room: "b", sub: deaf{}, tail: broker.Offset{Epoch: "one", Pos: 6}}
	f.rooms["b"] = s
	u := &catchUp{f: f, pending: []event{{pos: 7, gap: &gap{s: s, reason: broker.ReasonEpoch, now: state{tail: tail{epoch: "two", pos: 7}}}}}}
	u.deliver(7)
	acknowledges("one", false)
	f.adoptEpoch(tail{epoch: "two", pos: 7})
	acknowledges("one", false)
	acknowledges("two", true)
}

// deaf is a subscriber that takes no notice.
type deaf struct{}

func (deaf) Load(broker.Snapshot, string) {}
func (deaf) Deliver(broker.Message)       {}
func (deaf) Signal(broker.Signal)         {}
func (deaf) Presence(broker.Change)       {}
