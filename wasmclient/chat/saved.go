package chat

import "encoding/json"

// Saved is a message of one's own as it outlives a reload.
type Saved struct {
	Room   string `json:"room"`
	ID     string `json:"id"`
	Text   string `json:"text"`
	At     int64  `json:"at"`
	Reason string `json:"reason,omitempty"` // set where it has failed
}

// Encode writes it for the browser's storage.
func (s Saved) Encode() string {
	b, err := json.Marshal(s)
	if err != nil {
		return "" // strings and a number always encode
	}
	return string(b)
}

// DecodeSaved reads it back; what an older page or another hand has left there
// may be anything.
func DecodeSaved(text string) (Saved, bool) {
	var s Saved
	if json.Unmarshal([]byte(text), &s) != nil {
		return Saved{}, false
	}
	return s, s.ID != "" && s.Text != "" && CleanRoom(s.Room) == s.Room && s.Room != ""
}

// EncodeRooms writes the list of rooms.
func EncodeRooms(names []string) string {
	b, err := json.Marshal(names)
	if err != nil {
		return "[]"
	}
	return string(b)
}

// maxRooms bounds how many rooms are joined by themselves.
const maxRooms = 50

// DecodeRooms reads the list back, leaving out what cannot be a room.
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
