package room

import (
	"encoding/json"
	"strconv"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// Body returns what a publishing relay says of a message, as the broker carries it: the middle of
// the JSON object that members get. Every relay splices it in as it is, so that data passes byte
// for byte. With attachments, of which there are at most socketio.MaxAttachments, data must be
// canonical, and the body has the form that binaryBody begins.
func Body(id string, from broker.User, data json.RawMessage, attachments ...[]byte) string {
	head := append(make([]byte, 0, len(id)+len(data)+userSize), `"id":`...)
	return userBody(append(broker.AppendString(head, id), ','), from, data, attachments)
}

// SignalBody returns the middle of a signal's object, with attachments as Body has them.
func SignalBody(from broker.User, data json.RawMessage, attachments ...[]byte) string {
	return userBody(make([]byte, 0, len(data)+userSize), from, data, attachments)
}

// userSize is how many bytes most users take in a body, with what stands around them.
const userSize = 192

// userBody ends a body with whom it is from, and what that says.
func userBody(head []byte, from broker.User, data json.RawMessage, attachments [][]byte) string {
	b := from.AppendText(append(head, `"from":`...))
	return pack(append(append(b, dataMember...), data...), attachments)
}

// quote returns s as a JSON string.
func quote(s string) string {
	return string(broker.AppendString(make([]byte, 0, len(s)+2), s))
}

// appendObject writes a message as members get it. room is the room's name as JSON, text the JSON
// of the body.
func appendObject(dst []byte, room, text string, m broker.Message) []byte {
	return appendOffset(appendHead(dst, room, text, m), m)
}

// appendHead begins an object: room, text, and at.
func appendHead(dst []byte, room, text string, m broker.Message) []byte {
	dst = append(append(dst, `{"room":`...), room...)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), m.Seq, 10)
	dst = append(append(dst, ','), text...)
	return strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
}

// appendOffset ends an object.
func appendOffset(dst []byte, m broker.Message) []byte {
	return append(m.Offset().Append(append(dst, `,"offset":"`...)), `"}`...)
}

// messageName begins a message's packet, after what appendEvent writes.
const messageName = `["message",`

// encoder encodes messages on a relay, which is in a region.
type encoder struct {
	compact func(*engineio.Frame) *engineio.Frame // one for all messages
}

func newEncoder(region string) encoder {
	here := ""
	if region != "" {
		here = regionMember + quote(region)
	}
	return encoder{func(f *engineio.Frame) *engineio.Frame { return compact(f, here) }}
}

// encode encodes a message once for all members, and for all lists that it will be part of.
func (enc encoder) encode(room string, m broker.Message) stored {
	if m.Note != nil {
		return encodeNote(room, m)
	}
	text, attachments := unpack(m.Body)
	if e, ok := parseNamed(text); ok {
		return encodeNamed(room, e, attachments, m)
	}
	from, to := 0, 0 // of the object in the packet
	f := engineio.NewFrame(len(event)+len(messageName)+len(room)+len(text)+2*broker.MaxOffset+96, func(dst []byte) []byte {
		start := len(dst)
		dst = append(appendEvent(dst, len(attachments)), messageName...)
		from = len(dst) - start
		dst = appendObject(dst, room, text, m)
		to = len(dst) - start
		return append(m.Offset().Append(append(dst, `,"`...)), `"]`...)
	}, attachments...).At(m.Pos).WithForm(engineio.Compact, enc.compact)
	return stored{frame: f, object: f.Packet()[from:to:to], attached: len(attachments), at: m.At, notes: m.Notes}
}

func (enc encoder) encodeAll(room string, messages []broker.Message) List {
	out := make(List, len(messages))
	for i, m := range messages {
		out[i] = enc.encode(room, m)
	}
	return out
}

// Size is about how many bytes Append writes.
func (j Joined) Size() int {
	n := j.Messages.Size() + j.Notes.Size() + broker.MaxOffset + 96 + len(j.Rights)
	for _, m := range j.Members {
		n += len(m) + 1
	}
	return n
}

// Attachments returns what follows a join's answer.
func (j Joined) Attachments() [][]byte {
	return append(j.Messages.Attachments(), j.Notes.Attachments()...)
}

// Frames returns the messages as members get them, one by one, and then the annotations.
func (j Joined) Frames() []*engineio.Frame {
	out := make([]*engineio.Frame, 0, len(j.Messages)+len(j.Notes))
	for _, m := range j.Messages {
		out = append(out, m.frame)
	}
	for _, m := range j.Notes {
		out = append(out, m.frame)
	}
	return out
}

// Presence returns a presence event that lists who is in the room.
func (j Joined) Presence(room string) *engineio.Frame {
	return membersFrame(quote(room), j.Count, j.Members)
}

// Append writes j as a join's answer, of which the packet has so many attachments already.
func (j Joined) Append(dst []byte, room string, attached int) []byte {
	dst = append(append(dst, `{"ok":true,"room":`...), quote(room)...)
	dst = append(j.Offset.Append(append(dst, `,"offset":"`...)), '"')
	dst = strconv.AppendBool(append(dst, `,"recovered":`...), j.Recovered)
	dst = j.Messages.appendAfter(append(dst, `,"messages":`...), attached)
	if len(j.Notes) > 0 {
		dst = j.Notes.appendAfter(append(dst, `,"annotations":`...), attached+j.Messages.attachments())
	}
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(j.Count), 10)
	if j.Members != nil {
		dst = appendList(append(dst, `,"members":`...), j.Members)
	}
	if j.Rights != "" {
		dst = append(append(dst, `,"rights":`...), j.Rights...)
	}
	return append(dst, '}')
}
