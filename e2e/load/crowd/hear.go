//go:build linux

package crowd

import (
	"time"

	"setu/e2e/load/tally"
	"setu/e2e/load/wire"
)

// publisher is a member of a room that publishes: publishers have numbers by room, and in it by member.
type publisher struct{ seq uint32 }

// sending is a message on its way to its acknowledgement.
type sending struct {
	at        time.Duration
	publisher int
}

// publish publishes one message of a publisher.
func (c *Crowd) publish(number int) {
	room, member := number/c.o.Publishers, number%c.o.Publishers
	k, p := c.clients[member*c.groups+room%c.groups], &c.publishers[number]
	if k.state != joined {
		return
	}
	p.seq++
	k.acks++
	now := c.now()
	k.sent[k.acks%uint64(len(k.sent))] = sending{now, number}
	wire.Put(c.data, number, p.seq, now)
	c.packet = wire.AppendPublish(c.packet[:0], k.acks, c.roomName(room), c.data)
	c.frame = wire.AppendClient(c.frame[:0], wire.Text, c.packet)
	c.expected += c.o.Members
	c.count.published++
	c.write(k, c.frame)
}

// publishNext publishes a message of the publisher whose turn it is: first one of each room, then another.
func (c *Crowd) publishNext() {
	room, member := c.next%c.rooms, c.next/c.rooms
	c.next = (c.next + 1) % len(c.publishers)
	c.publish(room*c.o.Publishers + member)
}

// acked takes the answer to a request.
func (c *Crowd) acked(k *Client, kind wire.Kind, id uint64, packet []byte, now time.Duration) {
	if kind == wire.Failed {
		c.faults.Refused++
		c.fault("refused: %.200q", packet)
	}
	if k.state == joining {
		if kind == wire.Failed {
			c.drop(k, "a join was refused")
			return
		}
		c.enteredRoom(k, packet, now)
		return
	}
	if k.sent == nil {
		c.unexpected(packet)
		return
	}
	s := k.sent[id%uint64(len(k.sent))]
	c.count.acked++
	if c.perAck {
		c.ready = append(c.ready, s.publisher)
	}
	if w := c.window; w != nil && w.covers(s.at) {
		w.Ack.Add(now - s.at)
	}
}

// hear takes down the messages in a packet.
func (c *Crowd) hear(k *Client, packet []byte, now time.Duration) {
	c.lastHeard = now
	for {
		s, rest, ok := wire.NextStamp(packet)
		if !ok {
			return
		}
		packet = rest
		c.hearOne(k, s, now)
	}
}

func (c *Crowd) hearOne(k *Client, s wire.Stamp, now time.Duration) {
	room, member := s.Publisher/c.o.Publishers, s.Publisher%c.o.Publishers
	if s.Publisher >= len(c.publishers) || room%c.groups != k.group {
		c.faults.Misrouted++
		c.fault("a member of other rooms heard a message of %s", c.roomName(room))
		return
	}
	slot := room / c.groups
	switch k.tracks[slot*c.o.Publishers+member].Hear(s.Seq) {
	case tally.Duplicate:
		c.faults.Duplicate++
		c.fault("message %d of publisher %d came twice", s.Seq, s.Publisher)
		return
	case tally.Late:
		c.faults.Late++
		c.fault("message %d of publisher %d came after one that was published after it", s.Seq, s.Publisher)
	}
	k.orders[slot] = k.orders[slot].Add(s.Publisher, s.Seq)
	c.heard++
	age := s.Age(now)
	if w := c.window; w != nil && w.covers(now-age) {
		if c.clients[member*c.groups+k.group].relay == k.relay {
			w.Own.Add(age)
		} else {
			w.Across.Add(age)
		}
	}
}
