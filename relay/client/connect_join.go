package client

import "encoding/json"

// maxConnectRooms bounds what a CONNECT says of rooms, in bytes of their names: relays take 64 KiB in all.
const maxConnectRooms = 16 << 10

// roomsOfConnect returns the joins that go with our CONNECT, so that the relay has done them before
// anything else that we send: those of rooms that we are to be in again, and the first ones of others.
// What does not fit is joined later.
func (c *Client) roomsOfConnect() (out []joinRequest) {
	size := 0
	for _, r := range c.order {
		wanted := r.keepJoined || len(r.queuedJoins) > 0
		if size += len(r.name); !wanted || r.joinAckID != 0 || !r.dueAt.IsZero() || size > maxConnectRooms || len(out) == maxJoining {
			continue
		}
		out = append(out, c.beginJoin(r))
		c.asked = append(c.asked, r.joinAckID)
	}
	return out
}

// receiveJoined takes the answers to the joins that our CONNECT asked for. What a relay has not answered,
// since it knows nothing of them, is asked for anew.
func (c *Client) receiveJoined(answers []json.RawMessage, attachments [][]byte) {
	for i, id := range c.asked {
		answered := c.acks[id]
		delete(c.acks, id)
		switch {
		case i >= len(answers):
			c.retractJoin(id)
		case answered != nil:
			answered(payload{append(append([]byte("["), answers[i]...), ']'), attachments})
		default:
			c.leaveUnwanted(answers[i])
		}
	}
	c.asked = nil
}

// retractJoin undoes beginJoin.
func (c *Client) retractJoin(id uint64) {
	for _, r := range c.order {
		if r.joinAckID == id {
			r.onDisconnect()
		}
	}
}

// leaveUnwanted leaves a room that was given up while the relay was asked to have us in it.
func (c *Client) leaveUnwanted(answer json.RawMessage) {
	var joined struct {
		OK   bool
		Room string
	}
	if json.Unmarshal(answer, &joined) != nil || !joined.OK || c.rooms[joined.Room] != nil {
		return
	}
	q := newCall("leave", joined.Room, eventBody("leave", roomRequest{joined.Room}))
	q.dropOnDisconnect = true
	c.enqueue(q)
}
