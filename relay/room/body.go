package room

import (
	"strconv"
	"strings"

	"setu/relay/socketio"
)

// binaryBody begins a body with attachments. One without is the middle of a JSON object, and so
// begins with a quote. One with attachments is
//
//	b<count> <bytes of JSON> <bytes of the first> … <bytes of the last> <JSON><first>…<last>
//
// with numbers in decimal.
const binaryBody = 'b'

// dataMember begins what the publisher said, in a body and in an object made of one. No string
// holds these bytes: a quote within a string has a backslash before it, and one that ends a string
// has no letter after it.
const dataMember = `,"data":`

// badBody stands for a body that can't be read, since the message has its place in the room's order
// all the same.
const badBody = `"data":null`

// pack writes a body.
func pack(text []byte, attachments [][]byte) string {
	if len(attachments) == 0 {
		return string(text)
	}
	size := len(text) + 32
	for _, a := range attachments {
		size += len(a) + 8
	}
	b := strconv.AppendInt(append(make([]byte, 0, size), binaryBody), int64(len(attachments)), 10)
	b = strconv.AppendInt(append(b, ' '), int64(len(text)), 10)
	for _, a := range attachments {
		b = strconv.AppendInt(append(b, ' '), int64(len(a)), 10)
	}
	b = append(append(b, ' '), text...)
	for _, a := range attachments {
		b = append(b, a...)
	}
	return string(b)
}

// unpack reads a body's JSON and its attachments.
func unpack(body string) (text string, attachments [][]byte) {
	if body == "" || body[0] != binaryBody {
		return body, nil
	}
	lengths, rest, ok := bodyHead(body[1:])
	if !ok {
		return badBody, nil
	}
	text, rest = rest[:lengths[0]], rest[lengths[0]:]
	attachments = make([][]byte, len(lengths)-1)
	all := []byte(rest) // one copy for all
	for i, n := range lengths[1:] {
		attachments[i], all = all[:n:n], all[n:]
	}
	return text, attachments
}

// bodyHead reads the lengths of the JSON and of each attachment. Together they make up the rest of
// the body exactly.
func bodyHead(s string) (lengths []int, rest string, ok bool) {
	count, rest, ok := number(s, socketio.MaxAttachments)
	if !ok || count == 0 {
		return nil, "", false
	}
	lengths = make([]int, count+1)
	sum := 0
	for i := range lengths {
		if lengths[i], rest, ok = number(rest, len(s)); !ok {
			return nil, "", false
		}
		sum += lengths[i]
	}
	return lengths, rest, lengths[0] > 0 && sum == len(rest)
}

// number reads a number of at most most, as pack writes it, and the space after it.
func number(s string, most int) (n int, rest string, ok bool) {
	const longest = 10 // digits: past any body, and far from an overflow
	text, _, ok := strings.Cut(s[:min(len(s), longest+1)], " ")
	if !ok || text == "" || text[0] == '0' && len(text) > 1 {
		return 0, "", false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, "", false
		}
		n = n*10 + int(c-'0')
	}
	return n, s[len(text)+1:], n <= most
}
