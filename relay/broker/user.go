package broker

import (
	"encoding/json"
	"strconv"
)

// Text returns the JSON of a user. It is what json.Marshal makes of one, and is written by hand since whoever
// connects is written several times.
func (u User) Text() string {
	var enough [192]byte // for most, and on the stack
	return string(u.AppendText(enough[:0]))
}

// AppendText is Text, appended to dst.
func (u User) AppendText(dst []byte) []byte {
	dst = AppendString(append(dst, `{"id":`...), u.ID)
	dst = AppendString(append(dst, `,"name":`...), u.Name)
	dst = strconv.AppendBool(append(dst, `,"guest":`...), u.Guest)
	return append(u.Place.appendMembers(dst), '}')
}

// appendMembers appends what is known of a place as members of an object, each after a comma.
func (p Place) appendMembers(dst []byte) []byte {
	if p.Region != "" {
		dst = AppendString(append(dst, `,"region":`...), p.Region)
	}
	if p.Relay != "" {
		dst = AppendString(append(dst, `,"relay":`...), p.Relay)
	}
	return dst
}

// AppendString appends s as JSON, as json.Marshal writes it.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // no string fails to be one
			return append(dst, text...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
