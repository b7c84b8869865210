package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Kind is what a packet from a relay is.
type Kind int

const (
	Unknown Kind = iota
	Open
	Heartbeat
	Connected
	Refused // a CONNECT was
	Message
	Other // an event that is no message
	Acked
	Failed // a request was
	Closed
)

var (
	message = []byte(`42["message",`)
	failed  = []byte(`"ok":false`)
)

// Parse tells what a packet is, and the id of an ack.
func Parse(b []byte) (kind Kind, id uint64) {
	switch {
	case bytes.HasPrefix(b, message):
		return Message, 0
	case len(b) == 1 && b[0] == '2':
		return Heartbeat, 0
	case len(b) > 2 && b[0] == '4' && b[1] == '3':
		return parseAck(b)
	}
	for _, p := range prefixes {
		if bytes.HasPrefix(b, []byte(p.text)) {
			return p.kind, 0
		}
	}
	return Unknown, 0
}

var prefixes = []struct {
	text string
	kind Kind
}{{"42[", Other}, {"40{", Connected}, {"44{", Refused}, {"0{", Open}, {"1", Closed}, {"41", Closed}}

func parseAck(b []byte) (kind Kind, id uint64) {
	i := 2
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		id = id*10 + uint64(b[i]-'0')
	}
	switch head := b[i:min(len(b), i+64)]; {
	case i == 2 || i == len(b):
		return Unknown, 0
	case bytes.Contains(head, failed):
		return Failed, id
	}
	return Acked, id
}

// Offset returns an event's offset, which is its last argument if that is a string, and else nothing.
func Offset(event []byte) []byte {
	end := len(event) - len(`"]`)
	if end < 0 || string(event[end:]) != `"]` {
		return nil
	}
	return event[bytes.LastIndexByte(event[:end], '"')+1 : end]
}

// PID returns the secret in the answer to a CONNECT, by which a session is recovered.
func PID(connected []byte) (string, error) {
	var answer struct{ PID string }
	if len(connected) < 2 {
		return "", errors.New("no answer to a CONNECT")
	}
	if err := json.Unmarshal(connected[2:], &answer); err != nil {
		return "", fmt.Errorf("the answer to a CONNECT: %w", err)
	}
	return answer.PID, nil
}

// Packets of a client.
const (
	Alive   = "3" // the answer to a heartbeat
	Connect = "40"
)

// Handshake returns the request that opens a connection.
func Handshake(host string) []byte {
	return []byte("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: " + host +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
}

// Recover returns the CONNECT of a client that comes back.
func Recover(pid string, offset []byte) string {
	return fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset)
}

// Join returns the request to come into a room; since is the offset from which on it wants what it missed, if any.
func Join(id int, room string, since []byte) string {
	if len(since) == 0 {
		return fmt.Sprintf(`42%d["join",{"room":%q}]`, id, room)
	}
	return fmt.Sprintf(`42%d["join",{"room":%q,"since":%q}]`, id, room, since)
}

// AppendPublish appends the request to publish data.
func AppendPublish(dst []byte, id uint64, room string, data []byte) []byte {
	dst = strconv.AppendUint(append(dst, "42"...), id, 10)
	dst = append(append(dst, `["publish",{"room":"`...), room...)
	return append(append(append(dst, `","data":`...), data...), "}]"...)
}
