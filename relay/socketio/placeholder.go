package socketio

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// The JSON of a packet with attachments refers to each by its number, with an object that has a
// member _placeholder that is true. Clients put the attachment in the object's place, and the stock
// one disconnects if there is none of that number.
const (
	placeholderKey = "_placeholder"
	numberKey      = "num"

	canonicalHead = `{"_placeholder":true,"num":`
)

// MayHold reports whether plain JSON may have a member called _placeholder, in whatever spelling.
// It may err by returning true. Such JSON must not come into a packet with attachments, where a
// literal would read as a reference.
func MayHold(data []byte) bool {
	if bytes.Contains(data, []byte(placeholderKey)) {
		return true
	}
	for {
		i := bytes.Index(data, []byte(`\u00`))
		if i < 0 {
			return false
		}
		data = data[i+4:]
		if len(data) > 0 && '5' <= data[0] && data[0] <= '7' { // from U+0050 to U+007F: all the letters of the name
			return true
		}
	}
}

// Canonical checks that the placeholders in data, valid JSON, name one of so many attachments, and
// writes each as exactly {"_placeholder":true,"num":N}. Every other byte stays. If nothing changes,
// it returns data itself.
func Canonical(data []byte, attachments int) ([]byte, error) {
	found, err := placeholders(data, attachments)
	if err != nil || !slices.ContainsFunc(found, func(p placeholder) bool { return !p.canonical(data) }) {
		return data, err
	}
	return replace(data, found, AppendPlaceholder), nil // no spelling is shorter
}

// Resolve checks the placeholders in data as Canonical does, and has write append what stands in place of
// each, given its attachment's number. Every other byte stays. If there are none, it returns data itself.
func Resolve(data []byte, attachments int, write func(dst []byte, n int) []byte) ([]byte, error) {
	found, err := placeholders(data, attachments)
	if err != nil || len(found) == 0 {
		return data, err
	}
	return replace(data, found, write), nil
}

// replace writes data with something else in place of each placeholder.
func replace(data []byte, found []placeholder, write func(dst []byte, n int) []byte) []byte {
	out := make([]byte, 0, len(data))
	at := 0
	for _, p := range found {
		out = write(append(out, data[at:p.start]...), p.num)
		at = p.end
	}
	return append(out, data[at:]...)
}

// AppendPlaceholder writes the placeholder of attachment n.
func AppendPlaceholder(dst []byte, n int) []byte {
	return append(strconv.AppendInt(append(dst, canonicalHead...), int64(n), 10), '}')
}

// Renumber appends canonical data to dst with the number of every placeholder raised by so many. It
// searches for the bytes of a placeholder, which no string can hold: a quote within a string has a
// backslash before it, and one that ends a string has no letter after it.
func Renumber(dst, data []byte, by int) []byte {
	if by == 0 {
		return append(dst, data...)
	}
	for {
		i := bytes.Index(data, []byte(canonicalHead))
		if i < 0 {
			return append(dst, data...)
		}
		i += len(canonicalHead)
		dst, data = append(dst, data[:i]...), data[i:]
		n, end := index(data, 0)
		if n < 0 || end == len(data) || data[end] != '}' {
			continue // more members follow, one of which makes it no placeholder
		}
		dst, data = strconv.AppendInt(dst, int64(n+by), 10), data[end:]
	}
}

// placeholder is an object that stands for attachment num, in data[start:end].
type placeholder struct {
	start, end int
	num        int
}

func (p placeholder) canonical(data []byte) bool {
	var b [len(canonicalHead) + 21]byte
	want := append(strconv.AppendInt(append(b[:0], canonicalHead...), int64(p.num), 10), '}')
	return bytes.Equal(data[p.start:p.end], want)
}

// openObject is an object whose end has not come yet. Of a member that comes twice the last counts,
// as with JSON.parse.
type openObject struct {
	start int
	is    bool // it is a placeholder
	num   int  // the attachment's number; -1 if it is no index
}

// placeholders finds the outermost placeholders of valid JSON, in their order, and checks those
// inside them, too.
func placeholders(data []byte, attachments int) (found []placeholder, err error) {
	if !MayHold(data) {
		return nil, nil
	}
	var few [16]openObject
	open := few[:0]
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			open = append(open, openObject{start: i, num: -1})
		case '"':
			end := skipString(data, i)
			if n := len(open); n > 0 {
				open[n-1].member(data, i, end)
			}
			i = end - 1
		case '}':
			n := len(open) - 1
			if n < 0 {
				continue // not JSON
			}
			o := open[n]
			if open = open[:n]; !o.is {
				continue
			}
			if o.num < 0 || o.num >= attachments {
				return nil, ErrPlaceholder
			}
			for len(found) > 0 && found[len(found)-1].start > o.start {
				found = found[:len(found)-1] // inside this one
			}
			found = append(found, placeholder{o.start, i + 1, o.num})
		}
	}
	return found, nil
}

// member handles the string data[i:end] of the innermost object: a key if a colon follows, a value
// otherwise.
func (o *openObject) member(data []byte, i, end int) {
	colon := skipSpace(data, end)
	if colon == len(data) || data[colon] != ':' {
		return
	}
	value := skipSpace(data, colon+1)
	switch key := data[i:end]; {
	case isKey(key, placeholderKey):
		o.is = bytes.HasPrefix(data[value:], []byte("true"))
	case isKey(key, numberKey):
		o.num, end = index(data, value)
		if end < len(data) && (data[end] == '.' || data[end] == 'e' || data[end] == 'E') {
			o.num = -1
		}
	}
}

// isKey reports whether a JSON string is name, which may be spelled with escapes.
func isKey(text []byte, name string) bool {
	const longest = len(`\u0000`)
	if len(text) < len(name)+2 || len(text) > longest*len(name)+2 {
		return false
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1:len(text)-1]) == name
	}
	var s string
	return json.Unmarshal(text, &s) == nil && s == name
}

// index reads the number at i and returns it and where its digits end. The number is -1 if there
// are no digits or too many.
func index(data []byte, i int) (n, end int) {
	const most = 1 << 20
	from := i
	for ; i < len(data) && '0' <= data[i] && data[i] <= '9'; i++ {
		n = min(n*10+int(data[i]-'0'), most)
	}
	if i == from || n == most {
		return -1, i
	}
	return n, i
}
