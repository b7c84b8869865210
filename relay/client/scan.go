package client

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Most of what a client receives are live messages of one form: a compact one, with strings that need no escapes.
// Here they are read without going over them four times, as it takes to parse any packet, split it, and decode
// what is in it. What has another form, valid or not, is left to those who read all of them.

// maxOpen bounds the brackets in the data of a message that is read here, and so how deep they are nested.
const maxOpen = 64

// scanMessage reads the packet of a compact message:
//
//	2["message",{"room":"…","seq":1,"id":"…","from":{"id":"…","name":"…","region":"…"},"data":…,"at":1},"offset"]
//
// where name and region may be missing. If ok, parsing and decoding the packet has the same outcome, before
// [Message.expand].
func scanMessage(packet []byte) (m Message, offset string, ok bool) {
	s := scanner{packet, true}
	s.skip(`2["message",{"room":"`)
	m.Room = s.text()
	s.skip(`,"seq":`)
	m.Seq = s.number()
	s.skip(`,"id":"`)
	m.ID = s.text()
	s.skip(`,"from":{"id":"`)
	m.From = User{ID: s.text(), Region: unsaid}
	if s.has(`,"name":"`) {
		m.From.Name = s.text()
	}
	if s.has(`,"region":"`) {
		m.From.Region = s.text()
	}
	s.skip(`},"data":`)
	data := s.untilLast(`,"at":`)
	m.At = s.number()
	s.skip(`},"`)
	offset = s.text()
	s.skip(`]`)
	if !s.ok || len(s.rest) > 0 || !isValue(data) || !utf8.Valid(packet) {
		return Message{}, "", false
	}
	m.Data = bytes.Clone(data)
	return m, offset, true
}

// isValue reports whether data is an array or an object and nothing else, not nested too deep.
func isValue(data []byte) bool {
	return len(data) > 0 && (data[0] == '{' || data[0] == '[') && (data[len(data)-1] == '}' || data[len(data)-1] == ']') &&
		bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) <= maxOpen && json.Valid(data)
}

// scanner reads what has a known form. Once it meets something else, ok is false, and stays so.
type scanner struct {
	rest []byte
	ok   bool
}

// has reports whether text comes next, and skips it.
func (s *scanner) has(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) skip(text string) { s.ok = s.has(text) && s.ok }

// text reads the rest of a string without escapes, with the quote that ends it.
func (s *scanner) text() string {
	for i, c := range s.rest {
		if c == '"' {
			text := string(s.rest[:i])
			s.rest = s.rest[i+1:]
			return text
		}
		if c == '\\' || c < ' ' {
			break
		}
	}
	s.ok = false
	return ""
}

// number reads an integer that is not negative, and no larger than those that all of JSON's readers know.
func (s *scanner) number() int64 {
	end := 0
	for end < len(s.rest) && s.rest[end] >= '0' && s.rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(string(s.rest[:end]), 10, 54)
	s.ok = s.ok && err == nil && (s.rest[0] != '0' || end == 1)
	s.rest = s.rest[end:]
	return n
}

// untilLast reads what comes before the last place where text stands, and skips that, too.
func (s *scanner) untilLast(text string) []byte {
	at := bytes.LastIndex(s.rest, []byte(text))
	if at < 0 {
		s.ok = false
		return nil
	}
	before := s.rest[:at]
	s.rest = s.rest[at+len(text):]
	return before
}
