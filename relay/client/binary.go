package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"setu/relay/socketio"
)

// maxAttached bounds the attachments of one packet, in bytes: an answer with a room's history is the largest.
const maxAttached = 64 << 20

var (
	errStray       = errors.New("client: a binary packet that belongs to none")
	errInterrupted = errors.New("client: a packet in place of another's attachments")
	errAttached    = errors.New("client: a packet whose attachments are too large")
	errAttachments = fmt.Errorf("client: more than %d attachments", socketio.MaxAttachments)
	errNamed       = errors.New("client: data must name each of its attachments, and no other")
)

// payload is what an event or an ack says: JSON in which placeholders stand for the attachments.
type payload struct {
	data        []byte
	attachments [][]byte
}

// partial is a packet that waits for its attachments, which come as binary frames right after it.
type partial struct {
	packet      socketio.Packet
	attachments [][]byte
	size        int // of the attachments, in bytes
}

func (c *Client) receiveAttachment(data []byte) {
	p := c.partial
	if p == nil {
		c.broken(errStray)
		return
	}
	if p.size += len(data); p.size > maxAttached {
		c.broken(errAttached)
		return
	}
	p.attachments = append(p.attachments, data)
	if len(p.attachments) == p.packet.Attachments {
		c.partial = nil
		c.dispatch(p.packet, p.attachments)
	}
}

// Attachment stands for one of a message's attachments, by its place among them, where the message's data is written or
// read:
//
//	data := map[string]any{"name": "cat.png", "picture": client.Attachment(0)}
//	p, err := c.PublishBinary(ctx, room, data, [][]byte{picture}, "")
//
// In data that somebody else has published it may be any number: compare it with len(Attachments) first.
type Attachment int

// On the wire it is an object, which the relay writes in just this way. No string of JSON can hold it.
const placeholderHead = `{"_placeholder":true,"num":`

func placeholder(n int) []byte {
	return append(strconv.AppendInt([]byte(placeholderHead), int64(n), 10), '}')
}

// MarshalJSON implements json.Marshaler.
func (a Attachment) MarshalJSON() ([]byte, error) {
	if a < 0 {
		return nil, errNamed
	}
	return placeholder(int(a)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Attachment) UnmarshalJSON(b []byte) error {
	digits := bytes.TrimSuffix(bytes.TrimPrefix(b, []byte(placeholderHead)), []byte("}"))
	n, err := strconv.Atoi(string(digits))
	if err != nil || n < 0 || !bytes.Equal(b, placeholder(n)) {
		return fmt.Errorf("client: no attachment: %.100s", b)
	}
	*a = Attachment(n)
	return nil
}

// checkAttachments holds back what the relay would refuse, or read in another way than it was meant.
func checkAttachments(data []byte, attachments [][]byte) error {
	if len(attachments) > socketio.MaxAttachments {
		return errAttachments
	}
	named := 0
	for n := range attachments {
		times := bytes.Count(data, placeholder(n))
		if times == 0 {
			return errNamed
		}
		named += times
	}
	if named != bytes.Count(data, []byte(`"_placeholder"`)) {
		return errNamed
	}
	return nil
}

// own gives data those of its packet's attachments that it names, and numbers them anew, from 0. All that is no name of
// one of them is data like any other.
func own(data json.RawMessage, all [][]byte) (json.RawMessage, [][]byte) {
	var mine [][]byte
	for n, a := range all {
		name := placeholder(n)
		if !bytes.Contains(data, name) {
			continue
		}
		if n > len(mine) { // a number that is free: all up to n have been looked at
			data = bytes.ReplaceAll(data, name, placeholder(len(mine)))
		}
		mine = append(mine, a)
	}
	return data, mine
}

// attached is what a packet's attachments can come with.
type attached interface{ attach(all [][]byte) }

func (m *Message) attach(all [][]byte) { m.Data, m.Attachments = own(m.Data, all) }
func (s *Signal) attach(all [][]byte)  { s.Data, s.Attachments = own(s.Data, all) }
func (r *Reset) attach(all [][]byte)   { attachEach(r.Messages, all) }
func (j *Joined) attach(all [][]byte)  { attachEach(j.Messages, all) }
func (h *History) attach(all [][]byte) { attachEach(h.Messages, all) }

func attachEach(list []Message, all [][]byte) {
	for i := range list {
		list[i].attach(all)
	}
}

// read decodes item, a part of p's data.
func (p payload) read(item json.RawMessage, into any) error {
	if err := json.Unmarshal(item, into); err != nil {
		return err
	}
	if a, ok := into.(attached); ok && len(p.attachments) > 0 {
		a.attach(p.attachments)
	}
	return nil
}

// size is what m takes while it is held, in bytes.
func (m *Message) size() int {
	n := len(m.Data)
	for _, a := range m.Attachments {
		n += len(a)
	}
	return n
}
