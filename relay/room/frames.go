package room

import (
	"bytes"
	"strconv"
	"strings"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/socketio"
)

// event begins an Engine.IO message packet that holds a Socket.IO event of namespace "/".
const event = "42"

// appendEvent begins a packet as event does, or as one that is followed by attachments.
func appendEvent(dst []byte, attachments int) []byte {
	if attachments == 0 {
		return append(dst, event...)
	}
	dst = append(dst, byte(engineio.Message), byte(socketio.BinaryEvent))
	return append(strconv.AppendInt(dst, int64(attachments), 10), '-')
}

func signalFrame(room string, s broker.Signal) *engineio.Frame {
	text, attachments := unpack(s.Body)
	if e, ok := parseNamed(text); ok {
		return namedSignalFrame(room, e, attachments)
	}
	return engineio.NewFrame(len(room)+len(text)+32, func(dst []byte) []byte {
		dst = append(append(appendEvent(dst, len(attachments)), `["signal",{"room":`...), room...)
		return append(append(append(dst, ','), text...), `}]`...)
	}, attachments...)
}

// Reset is the tag of a frame that tells a member of a gap in a room, which now stands at Tail.
type Reset struct {
	Room string
	Tail broker.Offset
}

func resetFrame(room, reason string, tail broker.Offset, messages List, count int) *engineio.Frame {
	attachments := messages.Attachments()
	return engineio.NewFrame(messages.Size()+256, func(dst []byte) []byte {
		dst = append(append(appendEvent(dst, len(attachments)), `["reset",{"room":`...), room...)
		dst = append(append(append(dst, `,"recovered":false,"reason":"`...), reason...), `","offset":"`...)
		dst = messages.Append(append(tail.Append(dst), `","messages":`...))
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
		return append(tail.Append(append(dst, `},"`...)), `"]`...)
	}, attachments...)
}

// FrameOffset returns the offset that ends a message's frame, as clients take it.
func FrameOffset(f *engineio.Frame) string {
	text := string(bytes.TrimSuffix(f.Packet(), []byte(`"]`)))
	return text[strings.LastIndexByte(text, '"')+1:]
}

// membersFrame is a presence event that lists everybody; users is nil if they are too many.
func membersFrame(room string, count int, users []string) *engineio.Frame {
	return engineio.NewFrame(256, func(dst []byte) []byte {
		dst = appendPresence(dst, room, count)
		if users != nil {
			dst = appendList(append(dst, `,"members":`...), users)
		}
		return append(dst, `}]`...)
	})
}

// presenceFrame is a presence event that tells what has changed.
func presenceFrame(room string, count int, net netChanges) *engineio.Frame {
	return engineio.NewFrame(256, func(dst []byte) []byte {
		dst = appendPresence(dst, room, count)
		dst = appendChanges(dst, `,"joined":`, net.joined)
		dst = appendChanges(dst, `,"left":`, net.left)
		dst = appendChanges(dst, `,"renamed":`, net.renamed)
		return append(dst, `}]`...)
	})
}

// appendPresence begins a presence event, whose object the caller goes on with.
func appendPresence(dst []byte, room string, count int) []byte {
	dst = append(append(dst, event+`["presence",{"room":`...), room...)
	return strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
}

func appendChanges(dst []byte, field string, changes []netChange) []byte {
	if len(changes) == 0 {
		return dst
	}
	users := make([]string, len(changes))
	for i, c := range changes {
		users[i] = c.user
	}
	return appendList(append(dst, field...), users)
}

// appendList writes a list of JSON texts.
func appendList(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, t := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, t...)
	}
	return append(dst, ']')
}
