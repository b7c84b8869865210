package redis

import (
	"slices"
	"testing"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// A write states a name if this relay was the last to hear of it; else it repeats one.
func TestNaming(t *testing.T) {
	at := place{"a", "ann"}
	text := func(name string) string { return `{"id":"ann","name":"` + name + `","guest":true}` }
	var p *presence
	enter := func(name string) { p.enter(at, text(name), make(chan entered, 1)) }
	heard := func(name string) { p.renamed("a", text(name)) }
	take := func() step {
		p.mu.Lock()
		defer p.mu.Unlock()
		work := p.steps(p.take())
		if len(work) != 1 {
			t.Fatal(work)
		}
		return work[0]
	}
	fail := func() { _ = p.giveBack([]step{take()}, errLife) }
	for _, c := range []struct {
		what   string
		do     func()
		name   string
		states bool
	}{
		{"entered", func() { enter("A") }, "A", true},
		{"entered again", func() { enter("A"); take(); enter("A") }, "A", false},
		{"entered under another name", func() { enter("A"); take(); enter("B") }, "B", true},
		{"left and entered", func() { enter("A"); take(); p.leave(at); enter("A") }, "A", true},
		{"written anew", func() { enter("A"); take(); p.markAll() }, "A", false},
		{"heard, then written anew", func() { enter("A"); take(); heard("B"); p.markAll() }, "B", false},
		{"heard, then entered as before", func() { enter("A"); take(); heard("B"); enter("A") }, "A", true},
		{"heard before the write", func() { enter("A"); heard("B") }, "A", true},
		{"failed", func() { enter("A"); fail() }, "A", true},
		{"failed, and heard since", func() { enter("A"); fail(); heard("B") }, "B", false},
		{"failed, and entered since", func() { enter("A"); fail(); enter("B"); heard("C") }, "B", true},
		{"failed, heard meanwhile", func() {
			enter("A")
			s := take()
			heard("B")
			_ = p.giveBack([]step{s}, errLife)
		}, "B", false},
		{"failed, entered meanwhile", func() {
			enter("A")
			s := take()
			enter("B")
			_ = p.giveBack([]step{s}, errLife)
			heard("C")
		}, "B", true},
		{"a repeated one failed", func() { enter("A"); take(); p.markAll(); fail() }, "A", false},
	} {
		p = newPresence(&Broker{})
		c.do()
		if s := take(); s.text != text(c.name) || s.states != c.states {
			t.Errorf("%s: writes %s, states %v; want %s, %v", c.what, s.text, s.states, c.name, c.states)
		}
	}
	p = newPresence(&Broker{})
	heard("B")
	p.renamed("a", "nonsense")
	if len(p.want) != 0 {
		t.Error("nobody is here: ", p.want)
	}
}

// changesHeard is a Subscriber that keeps the changes that it is told.
type changesHeard struct{ changes []broker.Change }

func (*changesHeard) Load(broker.Snapshot, string) {}
func (*changesHeard) Deliver(broker.Message)       {}
func (*changesHeard) Signal(broker.Signal)         {}
func (c *changesHeard) Presence(ch broker.Change)  { c.changes = append(c.changes, ch) }

// A relay ignores kinds of pushes that it does not know, as relays before renaming ignore "r".
func TestKindsOfPushes(t *testing.T) {
	b := &Broker{keys: newKeys("test", 0)}
	b.presence, b.feed = newPresence(b), newFeed(b)
	b.feed.revoked = true // of which a connection hears first
	var c changesHeard
	b.feed.rooms["a"] = &subscription{room: "a", sub: &c}
	const text = `{"id":"ann","name":"Ann","guest":true}`
	for _, kind := range []string{"j2 ", "r2 ", "l1 ", "z2 ", "R2 "} {
		b.feed.receive(b.feed.session, rueidis.PubSubMessage{Channel: b.keys.channel + "a", Message: kind + text})
	}
	want := []broker.Change{{Joined: true, Count: 2, User: text}, {Renamed: true, Count: 2, User: text}, {Count: 1, User: text}}
	if !slices.Equal(c.changes, want) {
		t.Errorf("heard %+v", c.changes)
	}
}
