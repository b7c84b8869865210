package chat

import "strconv"

// maxFarNotes bounds the lines about people on the other side of the world, of one visit to a room.
const maxFarNotes = 10

// Far is whom a visit to a room has found on the other side of the world.
type Far struct {
	told  map[string]bool // by user id
	notes int
}

// Meet takes people of the room, and returns the sentence about those of them who are on the other side of
// the world as seen from here, and of whom that was not said yet; or "".
func (f *Far) Meet(people []User, self, here string) string {
	var fresh []User
	for _, u := range people {
		if u.ID != self && !f.told[u.ID] && u.IsBeyond(here) {
			if f.told == nil {
				f.told = make(map[string]bool)
			}
			f.told[u.ID] = true
			fresh = append(fresh, u)
		}
	}
	if len(fresh) == 0 || f.notes == maxFarNotes {
		return ""
	}
	f.notes++
	first := isolate(fresh[0].Name)
	switch n := len(fresh); n {
	case 1:
		return first + " is on the other side of the world"
	case 2:
		return first + " and " + isolate(fresh[1].Name) + " are on the other side of the world"
	default:
		return first + " and " + strconv.Itoa(n-1) + " others are on the other side of the world"
	}
}

// isolate keeps the direction of a name from what stands around it.
func isolate(name string) string { return "\u2068" + name + "\u2069" }

// note is a line that stands after a message, and is no message.
type note struct {
	key, after, text string
}

// Note adds a line after the newest message.
func (t *Timeline) Note(text string) {
	after := ""
	if newest := t.Newest(); newest != nil {
		after = newest.Key
	}
	t.notes = append(t.notes, note{"note/" + strconv.Itoa(len(t.notes)), after, text})
}

// notesAfter returns the rows of the lines after a message; "" stands for the beginning.
func (t *Timeline) notesAfter(key string) (rows []Row) {
	for _, n := range t.notes {
		if n.after == key {
			rows = append(rows, Row{Key: n.key, Kind: RowNote, Text: n.text})
		}
	}
	return rows
}
