package client

import (
	"encoding/json"
	"strings"
)

// guestPrefix begins the ids of guests, and of nobody else.
const guestPrefix = "~"

// unsaid is the Region of a live message's user, before it is decoded: no region is called so.
const unsaid = "\x00"

// expand fills in what a compact message leaves out, as it follows from the rest: the offset is what
// comes after it, the region the relay's own, here, and its user's id says who is a guest, and how one is called
// who has not said it.
func (m *Message) expand(after []json.RawMessage, here string) {
	if m.From.Region == unsaid {
		if m.From.Region = ""; m.Offset == "" { // it is compact
			m.From.Region = here
		}
	}
	if m.Offset == "" && len(after) > 0 {
		_ = json.Unmarshal(after[0], &m.Offset) // without an offset the message is refused
	}
	name, isGuest := strings.CutPrefix(m.From.ID, guestPrefix)
	if !isGuest {
		return
	}
	m.From.Guest = true
	if m.From.Name == "" {
		m.From.Name = "guest-" + strings.ToLower(name[:min(4, len(name))])
	}
}
