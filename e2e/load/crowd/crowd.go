//go:build linux

// Package crowd is clients of relays by the thousand, for a load generator that shares a machine with what
// it measures: one goroutine runs them all, over epoll, and a client that is idle costs a descriptor and a
// struct. What they hear is checked by sequence numbers, message by message.
package crowd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"setu/e2e/load/tally"
	"setu/e2e/load/wire"
)

// Options say what a crowd is like.
type Options struct {
	Relays     []netip.AddrPort
	Clients    int // a multiple of Members
	Members    int // of each room, spread over the relays
	Rooms      int // 0: as many as there are groups of members; else a multiple of that, and each client is in several
	Publishers int // members of each room that publish, and are never cut
	Payload    int // bytes
}

// Crowd is clients in rooms. One goroutine may use it.
type Crowd struct {
	o      Options
	groups int // of clients that are in the same rooms
	rooms  int
	perOne int // rooms of a client
	prefix string
	start  time.Time

	epoll  int
	events []unix.EpollEvent
	buffer []byte
	byFD   []*Client

	clients    []*Client
	publishers []publisher
	next       int // publisher, round robin
	perAck     bool
	ready      []int // publishers whose last message was acknowledged, if perAck

	underWay int // clients that are on their way in
	in       int // clients that are in all their rooms
	again    []*Client
	returned *Returned
	failed   error // the first client that got nowhere

	data, packet, frame []byte // of the message that is being published

	expected, heard int // deliveries
	count           counters
	lastHeard       time.Duration
	window          *Window // nil: none is open

	faults tally.Faults
	lost   int    // of them, those of former audits
	why    string // the first fault
}

// counters count what no window needs to look into.
type counters struct{ published, acked, bytes, reads int }

// New makes a crowd that is connected to nothing.
func New(o Options) (*Crowd, error) {
	c := &Crowd{o: o, groups: o.Clients / o.Members, prefix: "r" + strings.ToLower(rand.Text()[:4]) + "-", start: time.Now(),
		events: make([]unix.EpollEvent, 1024), buffer: make([]byte, 256<<10), data: wire.Payload(o.Payload)}
	if c.rooms = o.Rooms; c.rooms == 0 {
		c.rooms = c.groups
	}
	switch {
	case o.Clients%o.Members != 0:
		return nil, fmt.Errorf("%d clients can't be divided into rooms of %d", o.Clients, o.Members)
	case c.rooms%c.groups != 0:
		return nil, fmt.Errorf("%d rooms can't be divided among %d groups of clients", c.rooms, c.groups)
	case c.rooms*o.Publishers > wire.MaxPublishers:
		return nil, fmt.Errorf("%d rooms with %d publishers are more than %d", c.rooms, o.Publishers, wire.MaxPublishers)
	case len(o.Relays) == 0:
		return nil, errors.New("no relay")
	}
	c.perOne = c.rooms / c.groups
	c.publishers = make([]publisher, c.rooms*o.Publishers)
	for i := range o.Clients {
		c.clients = append(c.clients, c.newClient(i))
	}
	var err error
	c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return c, err
}

// Close cuts all clients.
func (c *Crowd) Close() error {
	for _, k := range c.clients {
		c.cut(k)
	}
	return unix.Close(c.epoll)
}

// now returns the time since the crowd was made.
func (c *Crowd) now() time.Duration { return time.Since(c.start) }

func (c *Crowd) roomName(room int) string { return c.prefix + strconv.Itoa(room) }

// Joined returns how many clients are in all their rooms.
func (c *Crowd) Joined() int { return c.in }

// Why tells the first fault, if any.
func (c *Crowd) Why() string { return c.why }

// fault notes the first of the faults in words.
func (c *Crowd) fault(format string, args ...any) {
	if c.why == "" {
		c.why = fmt.Sprintf(format, args...)
	}
}

// Idle lets time pass, in which heartbeats are answered.
func (c *Crowd) Idle(ctx context.Context, d time.Duration) error {
	for end := c.now() + d; ctx.Err() == nil; {
		left := end - c.now()
		if left <= 0 {
			return nil
		}
		if err := c.poll(min(left, 50*time.Millisecond)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Drain waits until all that was published has been heard, or nothing has for a while.
func (c *Crowd) Drain(ctx context.Context) error {
	const patience = 7 * time.Second
	for c.lastHeard = c.now(); c.heard < c.expected && c.now() < c.lastHeard+patience && ctx.Err() == nil; {
		if err := c.poll(5 * time.Millisecond); err != nil {
			return err
		}
	}
	return c.Idle(ctx, 20*time.Millisecond) // what comes twice comes now
}

// Audit returns the faults since the last one. All that was published is to be there by now.
func (c *Crowd) Audit() tally.Faults {
	f, lost := c.faults, 0
	for _, k := range c.clients {
		if !k.wanted {
			continue
		}
		for slot := range k.orders {
			missing := c.missing(k, slot)
			lost += missing
			first := c.clients[k.group].orders[slot]
			if missing == 0 && c.missing(c.clients[k.group], slot) == 0 && k.orders[slot] != first {
				f.Disagreed++
			}
		}
	}
	for _, k := range c.clients {
		clear(k.orders)
	}
	f.Lost, c.lost = lost-c.lost, lost
	if f.Lost > 0 {
		c.fault("%d deliveries of %d are missing", f.Lost, c.expected)
	}
	c.faults, c.heard, c.expected = tally.Faults{}, 0, 0
	return f
}

// missing returns how many messages of one of its rooms a client has not heard.
func (c *Crowd) missing(k *Client, slot int) (n int) {
	for local := range c.o.Publishers {
		p := (slot*c.groups+k.group)*c.o.Publishers + local
		n += k.tracks[slot*c.o.Publishers+local].Lost(c.publishers[p].seq)
	}
	return n
}
