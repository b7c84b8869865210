package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// Bytes in what a client says and hears stand as {"$bytes":"00ff"}, so that the
// rest of the tests has to do with JSON alone.
var (
	bytesText   = regexp.MustCompile(`\{"\$bytes":"([0-9a-f]*)"\}`)
	placeholder = regexp.MustCompile(`\{"_placeholder":true,"num":(\d+)\}|\{"num":(\d+),"_placeholder":true\}`)
)

// Bytes is data that is sent as bytes.
func Bytes(data []byte) json.RawMessage {
	return json.RawMessage(`{"$bytes":"` + hex.EncodeToString(data) + `"}`)
}

// pack takes the bytes out of a packet's payload.
func pack(payload []byte) (text []byte, attachments [][]byte, err error) {
	text = bytesText.ReplaceAllFunc(payload, func(found []byte) []byte {
		data, bad := hex.DecodeString(string(bytesText.FindSubmatch(found)[1]))
		if bad != nil {
			err = bad
		}
		attachments = append(attachments, data)
		return fmt.Appendf(nil, `{"_placeholder":true,"num":%d}`, len(attachments)-1)
	})
	return text, attachments, err
}

// unpack puts them back.
func unpack(text []byte, attachments [][]byte) (payload []byte, err error) {
	used := 0
	payload = placeholder.ReplaceAllFunc(text, func(found []byte) []byte {
		groups := placeholder.FindSubmatch(found)
		n, bad := strconv.Atoi(string(groups[1]) + string(groups[2]))
		if bad != nil || n >= len(attachments) {
			err = fmt.Errorf("%s among %d attachments", found, len(attachments))
			return found
		}
		used++
		return Bytes(attachments[n])
	})
	if err == nil && used != len(attachments) {
		err = fmt.Errorf("%d attachments, %d placeholders: %.200q", len(attachments), used, text)
	}
	return payload, err
}

// sendPacket writes a packet of Socket.IO: as an event, or as a binary one
// where there are bytes in it.
func (c *conn) sendPacket(ctx context.Context, id string, payload []byte) error {
	text, attachments, err := pack(payload)
	if err != nil {
		return err
	}
	head := "42" + id
	if len(attachments) > 0 {
		head = fmt.Sprintf("45%d-%s", len(attachments), id)
	}
	packets := []packet{{data: append([]byte(head), text...)}}
	for _, data := range attachments {
		packets = append(packets, packet{true, data})
	}
	return c.carrier.write(ctx, packets...)
}

// whole reads what belongs to a binary packet, and makes it one of text.
func (c *conn) whole(ctx context.Context, frame []byte) ([]byte, error) {
	kind := map[string]string{"45": "42", "46": "43"}[string(frame[:2])]
	digits, rest, found := bytes.Cut(frame[2:], []byte("-"))
	count, err := strconv.Atoi(string(digits))
	if !found || err != nil {
		return nil, fmt.Errorf("not a binary packet: %.200q", frame)
	}
	attachments := make([][]byte, count)
	for i := range attachments {
		p, err := c.carrier.read(ctx)
		if err != nil {
			return nil, err
		}
		if !p.binary {
			return nil, fmt.Errorf("the relay sent %.200q instead of attachment %d of %d", p.data, i, count)
		}
		attachments[i] = p.data
	}
	payload, err := unpack(rest, attachments)
	return append([]byte(kind), payload...), err
}

func isBinary(frame []byte) bool {
	return bytes.HasPrefix(frame, []byte("45")) || bytes.HasPrefix(frame, []byte("46"))
}
