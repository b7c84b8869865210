package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// Where there is nothing but JSON, an attachment is an object with one member, {"$binary": "<base64>"}.
const binaryKey = "$binary"

// Errors of Lift, for whoever has written the JSON.
var (
	ErrBase64  = errors.New(`what is in a {"$binary": …} is no base64`) // RFC 4648, section 4
	ErrNested  = fmt.Errorf("they are nested deeper than %d", liftDepth)
	ErrBinary  = fmt.Errorf("they hold more than %d binary values", MaxAttachments)
	ErrLiteral = errors.New("beside binary values no object may have a member _placeholder")
)

// liftDepth is how deep one value may be nested: an event's array is around it, and in a message an object.
const liftDepth = MaxDepth - 2

// Lift takes the attachments out of values of valid JSON that go together in a packet, as FromBase64 does.
func Lift(values []json.RawMessage) (out []json.RawMessage, attachments [][]byte, err error) {
	literal := false
	out = make([]json.RawMessage, len(values))
	for i, v := range values {
		if !shallow(v, liftDepth) {
			return nil, nil, ErrNested
		}
		literal = literal || MayHold(v)
		text, some, err := FromBase64(v, len(attachments))
		if err != nil {
			return nil, nil, err
		}
		out[i], attachments = text, append(attachments, some...)
	}
	switch {
	case len(attachments) > MaxAttachments:
		return nil, nil, ErrBinary
	case literal && len(attachments) > 0:
		return nil, nil, ErrLiteral
	}
	return out, attachments, nil
}

// FromBase64 takes the attachments out of valid JSON, and puts placeholders there, which are numbered
// from first on. Without any it returns data itself. A string is no attachment, whatever it says.
func FromBase64(data []byte, first int) (out []byte, attachments [][]byte, err error) {
	if !bytes.Contains(data, []byte(binaryKey)) && !bytes.Contains(data, []byte(`\u00`)) {
		return data, nil, nil
	}
	at := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = skipString(data, i) - 1
		case '{':
			text, end := binaryObject(data, i)
			if text == nil {
				continue
			}
			raw, err := fromBase64(text)
			if err != nil {
				return nil, nil, err
			}
			out = AppendPlaceholder(append(out, data[at:i]...), first+len(attachments))
			attachments = append(attachments, raw)
			at, i = end, end-1
		}
	}
	if attachments == nil {
		return data, nil, nil
	}
	return append(out, data[at:]...), attachments, nil
}

// binaryObject returns the string, and the end, of an object that begins at i, if it is an attachment.
func binaryObject(data []byte, i int) (text []byte, end int) {
	from := skipSpace(data, i+1)
	if from == len(data) || data[from] != '"' {
		return nil, 0
	}
	to := skipString(data, from)
	colon := skipSpace(data, to)
	if !isKey(data[from:to], binaryKey) || colon == len(data) {
		return nil, 0
	}
	if from = skipSpace(data, colon+1); from == len(data) || data[from] != '"' {
		return nil, 0
	}
	to = skipString(data, from)
	if end = skipSpace(data, to); end == len(data) || data[end] != '}' {
		return nil, 0
	}
	return data[from:to], end + 1
}

func fromBase64(quoted []byte) ([]byte, error) {
	var text string
	if json.Unmarshal(quoted, &text) != nil { // it may have escapes: some write / as \/
		return nil, ErrBase64
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, ErrBase64
	}
	return raw, nil
}

// ToBase64 is the opposite: it puts attachments in the place of their placeholders. The error is that one
// names none.
func ToBase64(data []byte, attachments [][]byte) ([]byte, error) {
	if len(attachments) == 0 {
		return data, nil
	}
	return Resolve(data, len(attachments), func(dst []byte, n int) []byte {
		dst = append(dst, `{"`+binaryKey+`":"`...)
		return append(base64.StdEncoding.AppendEncode(dst, attachments[n]), `"}`...)
	})
}
