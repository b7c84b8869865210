//go:build linux

package crowd

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"setu/e2e/load/tally"
	"setu/e2e/load/wire"
)

// state is how far a client has come.
type state int

const (
	away state = iota
	dialing
	upgrading  // WebSocket
	opening    // Engine.IO
	connecting // Socket.IO
	joining
	joined // all its rooms
)

// Client is one connection.
type Client struct {
	group, member int
	relay         int
	wanted        bool // it is to hear everything, from its first join on

	fd      int
	state   state
	tries   int
	retryAt time.Duration
	in, out []byte // what came, or went, in part
	entered int    // rooms

	pid    string
	offset []byte
	since  time.Duration // its way in began

	tracks []tally.Track // by room, and its publishers
	orders []tally.Order // by room

	acks uint64    // ids
	sent []sending // by id, of those that publish
}

func (c *Crowd) newClient(i int) *Client {
	k := &Client{group: i % c.groups, member: i / c.groups, fd: -1}
	k.relay = (k.member + k.group) % len(c.o.Relays)
	k.tracks = make([]tally.Track, c.perOne*c.o.Publishers)
	k.orders = make([]tally.Order, c.perOne)
	if c.publishes(k) {
		k.sent = make([]sending, 256)
	}
	return k
}

// publishes reports whether a client publishes: the first members of each room do.
func (c *Crowd) publishes(k *Client) bool { return k.member < c.o.Publishers }

// room returns the one of a client's rooms that has a slot among them.
func (c *Crowd) room(k *Client, slot int) int { return slot*c.groups + k.group }

// text sends a packet.
func (c *Crowd) text(k *Client, packet string) {
	c.frame = wire.AppendClient(c.frame[:0], wire.Text, []byte(packet))
	c.write(k, c.frame)
}

// input takes what a client has read.
func (c *Crowd) input(k *Client, b []byte) {
	now := c.now()
	if len(k.in) > 0 {
		k.in = append(k.in, b...)
		b = k.in
	}
	if k.state == upgrading {
		if b = c.upgraded(k, b); k.state == upgrading {
			k.in = append(k.in[:0], b...)
			return
		}
	}
	for k.state != away {
		f, rest, ok := wire.Next(b)
		if !ok {
			break
		}
		b = rest
		c.take(k, f, now)
	}
	switch {
	case k.state == away:
	case len(b) == 0:
		k.in = nil // as most clients have it most of the time
	default:
		k.in = append(k.in[:0], b...)
	}
}

// upgraded reads the answer to the handshake, and returns what follows it.
func (c *Crowd) upgraded(k *Client, b []byte) []byte {
	head, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	switch {
	case !ok:
		return b
	case !bytes.HasPrefix(head, []byte("HTTP/1.1 101")):
		c.drop(k, fmt.Sprintf("the handshake was answered %.80q", b))
		return nil
	}
	k.state = opening
	return rest
}

func (c *Crowd) take(k *Client, f wire.Frame, now time.Duration) {
	switch {
	case f.Op == wire.Close:
		c.drop(k, fmt.Sprintf("the relay closed the WebSocket: %.80q", f.Payload))
	case f.Op == wire.Ping:
		c.frame = wire.AppendClient(c.frame[:0], wire.Pong, f.Payload)
		c.write(k, c.frame)
	case f.Op != wire.Text || !f.Final:
		c.unexpected(f.Payload)
	default:
		c.packetOf(k, f.Payload, now)
	}
}

func (c *Crowd) unexpected(packet []byte) {
	c.faults.Unexpected++
	c.fault("not expected: %.120q", packet)
}

// packetOf acts on a packet.
func (c *Crowd) packetOf(k *Client, packet []byte, now time.Duration) {
	kind, id := wire.Parse(packet)
	switch kind {
	case wire.Message:
		c.hear(k, packet, now)
		k.keep(packet)
	case wire.Other:
		k.keep(packet)
	case wire.Heartbeat:
		c.text(k, wire.Alive)
	case wire.Acked, wire.Failed:
		c.acked(k, kind, id, packet, now)
	case wire.Open:
		c.opened(k)
	case wire.Connected:
		c.connected(k, packet, now)
	case wire.Refused, wire.Closed:
		c.drop(k, fmt.Sprintf("the relay said %.120q", packet))
	default:
		c.unexpected(packet)
	}
}

// keep notes the newest offset, as a stock client does.
func (k *Client) keep(event []byte) {
	if offset := wire.Offset(event); offset != nil {
		k.offset = append(k.offset[:0], offset...)
	}
}

// cut ends a connection without a word, so that no port waits for what may still come.
func (c *Crowd) cut(k *Client) {
	switch {
	case k.state == away:
		return
	case k.state == joined:
		c.in--
	default:
		c.underWay--
	}
	_ = unix.SetsockoptLinger(k.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.byFD[k.fd] = nil
	_ = unix.Close(k.fd)
	k.fd, k.state, k.in, k.out, k.entered = -1, away, nil, nil, 0
}
