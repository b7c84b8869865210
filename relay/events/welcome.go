package events

import (
	"encoding/json"
	"strconv"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
	"setu/relay/socketio"
)

// welcome is the first event after CONNECT: all up to newest has been sent. more is what else it says,
// as members of the object, each after a comma.
func (root *Root) welcome(u broker.User, epoch, newest string, more []byte, attachments ...[]byte) *engineio.Frame {
	user := u.Text()
	size := len(root.self) + len(user) + len(more) + 3*broker.MaxOffset
	return engineio.NewFrame(size, func(dst []byte) []byte {
		dst = appendEvent(dst, len(attachments))
		dst = append(append(dst, `["welcome",{"user":`...), user...)
		dst = append(append(append(dst, `,"epoch":"`...), epoch...), `",`...)
		dst = append(dst, root.self...)
		dst = append(dst, more...)
		return append(append(append(dst, `},"`...), newest...), `"]`...)
	}, attachments...)
}

// appendEvent begins a packet of an event that so many attachments follow.
func appendEvent(dst []byte, attachments int) []byte {
	if attachments == 0 {
		return append(dst, byte(engineio.Message), byte(socketio.Event))
	}
	dst = append(dst, byte(engineio.Message), byte(socketio.BinaryEvent))
	return append(strconv.AppendInt(dst, int64(attachments), 10), '-')
}

// describe returns what every welcome says alike: the middle of its object.
func describe(cfg Config) string {
	limits := map[string]int{"maxPayload": cfg.MaxPayload, "history": cfg.History, "page": maxPage,
		"room": maxRoom, "event": room.MaxEventName, "args": room.MaxEventArgs, "id": maxID, "rooms": cfg.MaxRooms, "members": room.MaxMembers}
	text, _ := json.Marshal(struct { // strings and numbers
		Relay  string         `json:"relay"`
		Region string         `json:"region"`
		Limits map[string]int `json:"limits"`
	}{cfg.RelayID, cfg.Region, limits})
	return string(text[1 : len(text)-1])
}
