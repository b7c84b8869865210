//go:build linux

package crowd

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"setu/e2e/load/tally"
	"setu/e2e/load/wire"
)

// silence is a crowd of two rooms of two members each, on two relays, that are fed by hand.
func silence(t *testing.T) *Crowd {
	c, err := New(Options{Relays: make([]netip.AddrPort, 2), Clients: 4, Members: 2, Publishers: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.clients {
		k.state, k.wanted = joined, true
	}
	t.Cleanup(func() {
		for _, k := range c.clients {
			k.state = away // there is no connection to close
		}
		c.Close()
	})
	return c
}

// tell has a client hear messages of publishers, by their numbers and the messages', in one read.
func (c *Crowd) tell(client int, messages ...[2]int) {
	var b []byte
	for _, m := range messages {
		data := wire.Payload(0)
		wire.Put(data, m[0], uint32(m[1]), c.now())
		b = wire.AppendServer(b, wire.Text, append(append([]byte(`42["message",{"data":`), data...), `},"offset"]`...))
	}
	c.input(c.clients[client], b)
}

// What is planted is found, to the message, and nothing else is.
func TestPlanted(t *testing.T) {
	a1, a2, a3, b1 := [2]int{0, 1}, [2]int{0, 2}, [2]int{0, 3}, [2]int{1, 1}
	other := [2]int{2, 1} // of the other room's first publisher
	all := [][2]int{a1, a2, b1, a3}
	for _, test := range []struct {
		name  string
		heard [][2]int
		want  tally.Faults
	}{
		{"nothing", all, tally.Faults{}},
		{"a loss", [][2]int{a1, b1, a3}, tally.Faults{Lost: 1}},
		{"the loss of the last", [][2]int{a1, a2, b1}, tally.Faults{Lost: 1}},
		{"the loss of all", nil, tally.Faults{Lost: 4}},
		{"a duplicate", [][2]int{a1, a2, b1, a2, a3}, tally.Faults{Duplicate: 1}},
		{"a publisher's messages swapped", [][2]int{a2, a1, b1, a3}, tally.Faults{Late: 1, Disagreed: 1}},
		{"two publishers' messages swapped", [][2]int{a1, b1, a2, a3}, tally.Faults{Disagreed: 1}},
		{"a message of another room", append(slices.Clone(all), other), tally.Faults{Misrouted: 1}},
		{"a message of nobody", append(slices.Clone(all), [2]int{99, 1}), tally.Faults{Misrouted: 1}},
	} {
		c := silence(t)
		c.publishers[0].seq, c.publishers[1].seq = 3, 1
		c.tell(0, all...)
		c.tell(2, test.heard...)
		if f := c.Audit(); f != test.want {
			t.Errorf("%s: found %+v, want %+v", test.name, f, test.want)
		}
		if (c.Why() != "") != (test.want.Any() && test.want != tally.Faults{Disagreed: 1}) {
			t.Errorf("%s: %q", test.name, c.Why())
		}
		if f := c.Audit(); f.Any() {
			t.Errorf("%s: %+v is found twice", test.name, f)
		}
	}
}

// Frames are put together again, however they were cut.
func TestPieces(t *testing.T) {
	data := wire.Payload(300)
	wire.Put(data, 0, 1, 0)
	b := wire.AppendServer(nil, wire.Text, append(append([]byte(`42["message",`), data...), ']'))
	for cut := range len(b) {
		c := silence(t)
		c.publishers[0].seq = 1
		c.tell(0, [2]int{0, 1})
		c.input(c.clients[2], b[:cut])
		c.input(c.clients[2], b[cut:])
		if f := c.Audit(); f.Any() || c.clients[2].in != nil {
			t.Fatalf("cut at %d: %+v", cut, f)
		}
	}
}

func TestUnexpected(t *testing.T) {
	for name, want := range map[string]tally.Faults{
		`43`:                     {Unexpected: 1},
		`{}`:                     {Unexpected: 1},
		`0{"sid":""}x`:           {}, // an open packet is looked for by its beginning
		`42["welcome",{},"a.b"]`: {},
		`437[{"ok":false}]`:      {Refused: 1},
	} {
		c := silence(t)
		c.clients[0].out = []byte("as if its socket took nothing")
		c.input(c.clients[0], wire.AppendServer(nil, wire.Text, []byte(name)))
		if f := c.Audit(); f != want {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestNew(t *testing.T) {
	one := make([]netip.AddrPort, 1)
	for _, o := range []Options{
		{Relays: one, Clients: 10, Members: 3, Publishers: 1},
		{Relays: one, Clients: 10, Members: 5, Rooms: 3, Publishers: 1},
		{Relays: one, Clients: 1 << 18, Members: 1, Publishers: 2},
		{Clients: 10, Members: 5, Publishers: 1},
	} {
		if c, err := New(o); err == nil {
			c.Close()
			t.Errorf("%+v is taken", o)
		}
	}
}

// Members of a room are on either relay, and so are its publishers.
func TestPlaces(t *testing.T) {
	c, err := New(Options{Relays: make([]netip.AddrPort, 2), Clients: 12, Members: 4, Rooms: 6, Publishers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for group := range 3 {
		on := map[int]int{}
		for _, k := range c.clients {
			if k.group == group {
				on[k.relay]++
				if k.member < 2 {
					on[10+k.relay]++
				}
			}
		}
		if on[0] != 2 || on[1] != 2 || on[10] != 1 || on[11] != 1 {
			t.Errorf("group %d: %v", group, on)
		}
	}
	if room := c.room(c.clients[1], 1); room != 4 {
		t.Errorf("the second room of the second group is %d", room)
	}
}

// Clients are cut once in every period, and come back.
func TestChurnSchedule(t *testing.T) {
	c := silence(t)
	h := churn{load: Load{Every: time.Second, Away: 200 * time.Millisecond}, start: c.now() - 2500*time.Millisecond, who: make([]*Client, 10)}
	for i := range h.who {
		h.who[i] = &Client{state: away, retryAt: 1}
	}
	h.backs = 23 // or they would dial
	h.step(c)
	if h.cuts != 25 || h.backs != 23 {
		t.Errorf("after two and a half periods of ten clients, %d were cut, and %d came back", h.cuts, h.backs)
	}
}
