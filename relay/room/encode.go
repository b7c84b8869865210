package room

import (
	"encoding/json"
	"strconv"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// event begins an Engine.IO message packet that holds a Socket.IO event of namespace "/".
const event = "42"

// Body is what a publishing relay says of a message, as the broker carries it: the middle of the JSON object that members
// get. It is spliced in as it is, by every relay, so data passes byte for byte.
func Body(id string, from broker.User, data json.RawMessage) (string, error) {
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
	return string(append(b, data...)), nil
}

// SignalBody is the middle of a signal's object.
func SignalBody(from broker.User, data json.RawMessage) (string, error) {
	user, err := json.Marshal(from)
	if err != nil {
		return "", err
	}
	b := make([]byte, 0, len(user)+len(data)+16)
	b = append(append(b, `"from":`...), user...)
	return string(append(append(b, `,"data":`...), data...)), nil
}

// quote returns s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // no string fails to be one
	}
	return string(b)
}

// appendObject writes a message as members get it. room is its name as JSON.
func appendObject(dst []byte, room string, m broker.Message) []byte {
	dst = append(append(dst, `{"room":`...), room...)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), m.Seq, 10)
	dst = append(append(dst, ','), m.Body...)
	dst = strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
	dst = append(dst, `,"offset":"`...)
	return append(m.Offset().Append(dst), `"}`...)
}

// messageFrame encodes a message for all who are in the room; object is the part of it that stands in lists, too.
func messageFrame(room string, m broker.Message) (f *engineio.Frame, object []byte) {
	const open = event + `["message",`
	size := 0
	f = engineio.NewFrame(len(open)+len(room)+len(m.Body)+2*broker.MaxOffset+96, func(dst []byte) []byte {
		dst = append(dst, open...)
		from := len(dst)
		dst = appendObject(dst, room, m)
		size = len(dst) - from
		return append(m.Offset().Append(append(dst, `,"`...)), `"]`...)
	}).At(m.Pos)
	return f, f.Packet()[len(open) : len(open)+size]
}

func signalFrame(room string, s broker.Signal) *engineio.Frame {
	return engineio.NewFrame(len(room)+len(s.Body)+32, func(dst []byte) []byte {
		dst = append(append(dst, event+`["signal",{"room":`...), room...)
		return append(append(append(dst, ','), s.Body...), `}]`...)
	})
}

// Objects is a list of messages, each already JSON.
type Objects [][]byte

// Append writes the list, byte for byte.
func (o Objects) Append(dst []byte) []byte {
	dst = append(dst, '[')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m...)
	}
	return append(dst, ']')
}

// Size is about how many bytes Append writes.
func (o Objects) Size() (n int) {
	for _, m := range o {
		n += len(m) + 1
	}
	return n
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
