package swarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Answer is what a request was answered, as far as anybody here wants to know.
type Answer struct {
	OK    bool
	Seq   uint64
	Error struct{ Code string }
}

// Join joins a room, before anything else is read: what comes before the answer fails it.
func (c *Client) Join(room string) error {
	if err := c.Write(fmt.Sprintf(`20["join",{"room":%q}]`, room)); err != nil {
		return err
	}
	packet, err := c.Next()
	if err != nil {
		return err
	}
	id, answer, err := ParseAnswer(packet)
	if err == nil && (id != 0 || !answer.OK) {
		err = fmt.Errorf("a join is answered %.200q", packet)
	}
	return err
}

// Publish asks to publish data, which is JSON, and does not wait. ask is what the answer names.
func (c *Client) Publish(ask int, room, id, data string) error {
	return c.Write(fmt.Sprintf(`2%d["publish",{"room":%q,"id":%q,"data":%s}]`, ask, room, id, data))
}

// ParseAnswer reads the answer to a request, and which request it was.
func ParseAnswer(packet []byte) (ask int, answer Answer, err error) {
	at := bytes.IndexByte(packet, '[')
	if at < 2 || packet[0] != '3' {
		return 0, answer, fmt.Errorf("not an answer: %.200q", packet)
	}
	if ask, err = strconv.Atoi(string(packet[1:at])); err != nil {
		return 0, answer, err
	}
	args := []any{&answer}
	return ask, answer, json.Unmarshal(packet[at:], &args)
}

// IsMessage reports whether a packet is a message of a room.
func IsMessage(packet []byte) bool { return bytes.HasPrefix(packet, []byte(`2["message",`)) }

// IsAnswer reports whether a packet answers a request.
func IsAnswer(packet []byte) bool { return len(packet) > 0 && packet[0] == '3' }

// Seq is a message's number; 0 if the packet is none.
func Seq(packet []byte) uint64 { return uint64(Number(packet, `"seq":`)) }

// Room is a message's room.
func Room(packet []byte) string { return Text(packet, `"room":"`) }

// Number reads the number behind a name, where it first stands; 0 if it does not.
func Number(packet []byte, name string) (n int64) {
	at := bytes.Index(packet, []byte(name))
	if at < 0 {
		return 0
	}
	for _, digit := range packet[at+len(name):] {
		if digit < '0' || digit > '9' {
			break
		}
		n = n*10 + int64(digit-'0')
	}
	return n
}

// Text reads the string behind a name, where it first stands, up to its quote; "" if it does not.
func Text(packet []byte, name string) string {
	at := bytes.Index(packet, []byte(name))
	if at < 0 {
		return ""
	}
	text, _, _ := bytes.Cut(packet[at+len(name):], []byte(`"`))
	return string(text)
}
