package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"setu/relay/socketio"
)

// maxAttached bounds the attachments of one packet together, in bytes. The largest packet is an
// answer with a room's history.
const maxAttachmentBytes = 64 << 20

var (
	errUnexpectedBinary    = errors.New("client: a binary packet that belongs to none")
	errMissingAttachments  = errors.New("client: a packet in place of another's attachments")
	errAttachmentsTooLarge = errors.New("client: a packet whose attachments are too large")
	errTooManyAttachments  = fmt.Errorf("client: more than %d attachments", socketio.MaxAttachments)
	errPlaceholders        = errors.New("client: data must name each of its attachments, and no other")
)

// payload is the content of an event or an ack: JSON in which placeholders stand for the
// attachments.
type payload struct {
	data        []byte
	attachments [][]byte
}

// partial is a packet whose attachments have not all arrived. They come as binary frames right
// after it.
type incompletePacket struct {
	packet      socketio.Packet
	attachments [][]byte
	size        int // of the attachments, in bytes
}

func (c *Client) receiveAttachment(data []byte) {
	p := c.incomplete
	if p == nil {
		c.onProtocolError(errUnexpectedBinary)
		return
	}
	if p.size += len(data); p.size > maxAttachmentBytes {
		c.onProtocolError(errAttachmentsTooLarge)
		return
	}
	p.attachments = append(p.attachments, data)
	if len(p.attachments) == p.packet.Attachments {
		c.incomplete = nil
		c.dispatch(p.packet, p.attachments)
	}
}

// Attachment is the index of one of a message's attachments. It stands for that attachment in the
// message's data, both when the data is written and when it is read:
//
//	data := map[string]any{"name": "cat.png", "picture": client.Attachment(0)}
//	p, err := c.PublishBinary(ctx, room, data, [][]byte{picture}, "")
//
// In data that somebody else published it may be any number, so compare it with len(Attachments)
// first.
type Attachment int

// placeholderPrefix begins a placeholder, the object that stands for an attachment on the wire. The
// relay writes it in exactly this form, and no JSON string can contain it.
const placeholderPrefix = `{"_placeholder":true,"num":`

func placeholder(n int) []byte {
	return append(strconv.AppendInt([]byte(placeholderPrefix), int64(n), 10), '}')
}

// MarshalJSON implements json.Marshaler.
func (a Attachment) MarshalJSON() ([]byte, error) {
	if a < 0 {
		return nil, errPlaceholders
	}
	return placeholder(int(a)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Attachment) UnmarshalJSON(b []byte) error {
	digits := bytes.TrimSuffix(bytes.TrimPrefix(b, []byte(placeholderPrefix)), []byte("}"))
	n, err := strconv.Atoi(string(digits))
	if err != nil || n < 0 || !bytes.Equal(b, placeholder(n)) {
		return fmt.Errorf("client: no attachment: %.100s", b)
	}
	*a = Attachment(n)
	return nil
}

// checkAttachments returns an error if there are too many attachments, or if data does not name
// each of them and no other: the relay would refuse that, or understand it differently.
func checkAttachments(data []byte, attachments [][]byte) error {
	if len(attachments) > socketio.MaxAttachments {
		return errTooManyAttachments
	}
	named := 0
	for n := range attachments {
		times := bytes.Count(data, placeholder(n))
		if times == 0 {
			return errPlaceholders
		}
		named += times
	}
	if named != bytes.Count(data, []byte(`"_placeholder"`)) {
		return errPlaceholders
	}
	return nil
}

// selectAttachments returns those of a packet's attachments that data names, and data with their
// placeholders renumbered from 0. A placeholder that names none of them is left as it is.
func selectAttachments(data json.RawMessage, all [][]byte) (json.RawMessage, [][]byte) {
	var mine [][]byte
	for n, a := range all {
		name := placeholder(n)
		if !bytes.Contains(data, name) {
			continue
		}
		if n > len(mine) { // this number is free: all below n have been replaced
			data = bytes.ReplaceAll(data, name, placeholder(len(mine)))
		}
		mine = append(mine, a)
	}
	return data, mine
}

// attachmentHolder is a value that is decoded from a packet and takes the attachments that its data
// names.
type attachmentHolder interface{ attach(all [][]byte) }

func (m *Message) attach(all [][]byte) { m.Attachments = attachTo(m.Event, &m.Data, &m.Args, all) }
func (s *Signal) attach(all [][]byte)  { s.Attachments = attachTo(s.Event, &s.Data, &s.Args, all) }
func (r *Reset) attach(all [][]byte)   { attachEach(r.Messages, all) }
func (j *Joined) attach(all [][]byte) {
	attachEach(j.Messages, all)
	for i := range j.Annotations {
		j.Annotations[i].attach(all)
	}
}
func (h *History) attach(all [][]byte) { attachEach(h.Messages, all) }

// attachTo selects the attachments of data or, of a named event, of args. A relay that does not know named
// events has the arguments as data.
func attachTo(event string, data, args *json.RawMessage, all [][]byte) (mine [][]byte) {
	if event != "" && *args == nil {
		*args, *data = *data, nil
	}
	if event != "" {
		data = args
	}
	*data, mine = selectAttachments(*data, all)
	return mine
}

func attachEach(list []Message, all [][]byte) {
	for i := range list {
		list[i].attach(all)
	}
}

// read decodes item, a part of p's data, and hands it the attachments that it names.
func (p payload) read(item json.RawMessage, into any) error {
	if err := json.Unmarshal(item, into); err != nil {
		return err
	}
	if a, ok := into.(attachmentHolder); ok {
		a.attach(p.attachments)
	}
	return nil
}

// size returns the bytes of m's data and attachments.
func (m *Message) size() int {
	n := len(m.Data) + len(m.Args)
	for _, a := range m.Attachments {
		n += len(a)
	}
	return n
}
