package room

import (
	"encoding/json"
	"strconv"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/socketio"
)

// event begins an Engine.IO message packet that holds a Socket.IO event of namespace "/".
const event = "42"

// appendEvent begins a packet as event does, or one that so many attachments follow.
func appendEvent(dst []byte, attachments int) []byte {
	if attachments == 0 {
		return append(dst, event...)
	}
	dst = append(dst, byte(engineio.Message), byte(socketio.BinaryEvent))
	return append(strconv.AppendInt(dst, int64(attachments), 10), '-')
}

// Body is what a publishing relay says of a message, as the broker carries it: the middle of the JSON object that members
// get. It is spliced in as it is, by every relay, so data passes byte for byte. With attachments, of which there are at most
// socketio.MaxAttachments, data is canonical, and body.go says how they go along.
func Body(id string, from broker.User, data json.RawMessage, attachments ...[]byte) (string, error) {
	idText, err := json.Marshal(id)
	if err != nil {
		return "", err
	}
	head, err := SignalBody(from, nil)
	if err != nil {
		return "", err
	}
	b := make([]byte, 0, len(idText)+len(head)+len(data)+16)
	b = append(append(b, `"id":`...), idText...)
	b = append(append(b, ','), head...)
	return pack(append(b, data...), attachments), nil
}

// SignalBody is the middle of a signal's object, with attachments as Body has them.
func SignalBody(from broker.User, data json.RawMessage, attachments ...[]byte) (string, error) {
	user, err := json.Marshal(from)
	if err != nil {
		return "", err
	}
	b := make([]byte, 0, len(user)+len(data)+16)
	b = append(append(b, `"from":`...), user...)
	return pack(append(append(b, dataMember...), data...), attachments), nil
}

// quote returns s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // no string fails to be one
	}
	return string(b)
}

// appendObject writes a message as members get it. room is its name as JSON, text what its body says.
func appendObject(dst []byte, room, text string, m broker.Message) []byte {
	dst = append(append(dst, `{"room":`...), room...)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), m.Seq, 10)
	dst = append(append(dst, ','), text...)
	dst = strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
	dst = append(dst, `,"offset":"`...)
	return append(m.Offset().Append(dst), `"}`...)
}

// encode encodes a message for all who are in the room, and for all lists that it will stand in.
func encode(room string, m broker.Message) stored {
	const name = `["message",`
	text, attachments := unpack(m.Body)
	from, to := 0, 0 // of the object in the packet
	f := engineio.NewFrame(len(event)+len(name)+len(room)+len(text)+2*broker.MaxOffset+96, func(dst []byte) []byte {
		start := len(dst)
		dst = append(appendEvent(dst, len(attachments)), name...)
		from = len(dst) - start
		dst = appendObject(dst, room, text, m)
		to = len(dst) - start
		return append(m.Offset().Append(append(dst, `,"`...)), `"]`...)
	}, attachments...).At(m.Pos)
	return stored{frame: f, object: f.Packet()[from:to:to], attached: len(attachments)}
}

func encodeAll(room string, messages []broker.Message) List {
	out := make(List, len(messages))
	for i, m := range messages {
		out[i] = encode(room, m)
	}
	return out
}

func signalFrame(room string, s broker.Signal) *engineio.Frame {
	text, attachments := unpack(s.Body)
	return engineio.NewFrame(len(room)+len(text)+32, func(dst []byte) []byte {
		dst = append(append(appendEvent(dst, len(attachments)), `["signal",{"room":`...), room...)
		return append(append(append(dst, ','), text...), `}]`...)
	}, attachments...)
}

// raws writes a list of JSON texts.
func raws(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, t := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, t...)
	}
	return append(dst, ']')
}

// Size is about how many bytes Append writes.
func (j Joined) Size() int {
	n := j.Messages.Size() + broker.MaxOffset + 96
	for _, m := range j.Members {
		n += len(m) + 1
	}
	return n
}

// Attachments are what follows a join's answer.
func (j Joined) Attachments() [][]byte { return j.Messages.Attachments() }

// Frames are the messages as members get them, one by one.
func (j Joined) Frames() []*engineio.Frame {
	out := make([]*engineio.Frame, len(j.Messages))
	for i, m := range j.Messages {
		out[i] = m.frame
	}
	return out
}

// Presence is a presence event that lists who is in the room.
func (j Joined) Presence(room string) *engineio.Frame {
	return membersFrame(quote(room), j.Count, j.Members)
}

// Append writes j as a join's answer.
func (j Joined) Append(dst []byte, room string) []byte {
	dst = append(append(dst, `{"ok":true,"room":`...), quote(room)...)
	dst = append(j.Offset.Append(append(dst, `,"offset":"`...)), '"')
	dst = strconv.AppendBool(append(dst, `,"recovered":`...), j.Recovered)
	dst = j.Messages.Append(append(dst, `,"messages":`...))
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(j.Count), 10)
	if j.Members != nil {
		dst = raws(append(dst, `,"members":`...), j.Members)
	}
	return append(dst, '}')
}
