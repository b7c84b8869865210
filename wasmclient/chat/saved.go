package chat

import "encoding/json"

// Saved is an unsent message, as it is stored in the browser to survive a reload.
type Saved struct {
	Room   string `json:"room"`
	ID     string `json:"id"`
	Text   string `json:"text"`
	At     int64  `json:"at"`
	Reason string `json:"reason,omitempty"` // why it has failed; empty: it waits
	Owner  string `json:"owner,omitempty"`  // see the function
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
	return s, s.ID != "" && Clean(s.Text) != "" && CleanRoom(s.Room) == s.Room && s.Room != ""
}

// EncodeRooms returns a list of rooms as JSON.
func EncodeRooms(names []string) string {
	b, err := json.Marshal(names)
	if err != nil {
		return "[]"
	}
	return string(b)
}

// maxRooms bounds how many stored rooms are joined when the page opens.
const maxRooms = 50

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
