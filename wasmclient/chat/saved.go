package chat

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Saved is an unsent message, as it is stored in the browser to survive a reload.
type Saved struct {
	Room   string `json:"room"`
	ID     string `json:"id"`
	Text   string `json:"text"`
	At     int64  `json:"at"`
	Reason string `json:"reason,omitempty"` // why it has failed; empty: it waits
	Owner  string `json:"owner,omitempty"`  // see the function

	Reply    *Reply   `json:"reply,omitempty"`
	Mentions []Person `json:"mentions,omitempty"`
	Picture  []byte   `json:"picture,omitempty"`
	Alt      string   `json:"alt,omitempty"`
}

// SavedOf returns a message of a room, as it is stored.
func SavedOf(room string, e *Entry, owner string) Saved {
	s := Saved{Room: room, ID: e.ID, Text: e.Body.Text, At: e.At, Reason: e.Reason, Owner: owner, Reply: e.Body.Reply, Mentions: e.Body.Mentions}
	if p := e.Body.Picture; p != nil {
		s.Picture, s.Alt = p.Data, p.Alt
	}
	return s
}

// Body returns what the message says.
func (s *Saved) Body() *Body {
	b := &Body{Text: s.Text, Reply: s.Reply, Mentions: s.Mentions, Picture: PictureOf(s.Picture)}
	if b.Picture != nil {
		b.Kind, b.Picture.Alt = BodyPicture, s.Alt
	}
	return b
}

// Encode returns s as JSON for the browser's storage.
func (s Saved) Encode() string {
	b, err := json.Marshal(s)
	if err != nil {
		return "" // cannot happen: strings and a number always encode
	}
	return string(b)
}

// DecodeSaved decodes what Encode returned. ok is false if the text is anything else: an older page
// or another program may have stored it.
func DecodeSaved(text string) (s Saved, ok bool) {
	if json.Unmarshal([]byte(text), &s) != nil {
		return Saved{}, false
	}
	return s, s.ID != "" && (Clean(s.Text) != "" || s.Body().Kind == BodyPicture) && CleanRoom(s.Room) == s.Room && s.Room != ""
}

// EncodeRooms returns a list of rooms as JSON.
func EncodeRooms(names []string) string {
	b, err := json.Marshal(names)
	if err != nil {
		return "[]"
	}
	return string(b)
}

const (
	// MaxOpened bounds how many stored rooms are joined when the page opens.
	MaxOpened = 50
	// maxRooms bounds how many are stored.
	maxRooms = 500
)

// DecodeRooms decodes what EncodeRooms returned, without what is not a room's name.
func DecodeRooms(text string) []string {
	var stored, names []string
	if json.Unmarshal([]byte(text), &stored) != nil {
		return nil
	}
	seen := make(map[string]bool)
	for _, name := range stored {
		if name == "" || CleanRoom(name) != name || seen[name] || len(names) == maxRooms {
			continue
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}

// WithRoom returns a stored list of rooms with a room, or without it. Each change begins with the list
// as it is stored: another tab may have changed it.
func WithRoom(text, room string, in bool) string {
	names := slices.DeleteFunc(DecodeRooms(text), func(name string) bool { return name == room && !in })
	if in && !slices.Contains(names, room) {
		names = append(names, room)
	}
	return EncodeRooms(names)
}

// EncodeSeen returns how far a room has been read: the sequence number of the last message, and when it
// was written, in milliseconds since 1970.
func EncodeSeen(seq, at int64) string {
	return strconv.FormatInt(seq, 10) + " " + strconv.FormatInt(at, 10)
}

// DecodeSeen decodes what EncodeSeen returned; older pages have stored the number alone. Of anything
// else it makes 0.
func DecodeSeen(text string) (seq, at int64) {
	number, time, _ := strings.Cut(text, " ")
	seq, _ = strconv.ParseInt(number, 10, 64)
	at, _ = strconv.ParseInt(time, 10, 64)
	return max(seq, 0), max(at, 0)
}
