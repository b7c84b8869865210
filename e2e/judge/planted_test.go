package judge

import (
	"slices"
	"testing"
)

// planted are stories with one thing gone wrong.
var planted = map[string]struct {
	plant func(t *testing.T, events []Event) []Event
	want  string // in the first fault
}{
	"a message is lost in the middle": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Received, 5)
		return slices.Delete(e, i, i+1)
	}, "silent gap: asha heard 6 in lobby after 4"},
	"the last message is lost": {func(t *testing.T, e []Event) []Event {
		return slices.DeleteFunc(e, func(e Event) bool { return e.Client == "cleo" && e.Kind == Received && e.Message.ID == "again" })
	}, "loss: cleo never heard 1 to 1 in lobby, acknowledged"},
	"nobody hears what was acknowledged": {func(t *testing.T, e []Event) []Event {
		return slices.DeleteFunc(e, func(e Event) bool { return e.Kind == Received && e.Message.ID == "again" })
	}, "loss: "},
	"a message comes twice": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Received, 5)
		return slices.Insert(e, i, e[i])
	}, "duplicate or order: asha heard 5"},
	"a message comes again after a recovery": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Received, 5)
		return slices.Insert(e, i, heard("asha", "e1", 2)...)
	}, "duplicate or order: asha heard 2"},
	"two messages are swapped": {func(t *testing.T, e []Event) []Event {
		i, j := index(t, e, "asha", Received, 5), index(t, e, "asha", Received, 6)
		e[i], e[j] = e[j], e[i]
		return e
	}, "silent gap: asha heard 6 in lobby after 4"},
	"two clients disagree about a place": {func(t *testing.T, e []Event) []Event {
		i, j := index(t, e, "asha", Received, 5), index(t, e, "asha", Received, 6)
		e[i].Message.ID, e[j].Message.ID = e[j].Message.ID, e[i].Message.ID
		e[i].Message.Data, e[j].Message.Data = e[j].Message.Data, e[i].Message.Data
		return e
	}, "order: place 5"},
	"a message is stored twice": {func(t *testing.T, e []Event) []Event {
		for i := range e {
			if e[i].Message.Seq == 6 {
				e[i].Message.ID, e[i].Message.Data = "m5", `"5"`
			}
			for j := range e[i].Messages {
				if e[i].Messages[j].Seq == 6 {
					e[i].Messages[j].ID, e[i].Messages[j].Data = "m5", `"5"`
				}
			}
		}
		return e
	}, "duplicate: m5 by uben stands at 5 and at 6"},
	"what was missed is not all given": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Joined, 0) + 1
		i += index(t, e[i:], "asha", Joined, 0)
		e[i].Messages = e[i].Messages[1:]
		return e
	}, "silent gap, duplicate or order: asha was given 4 in lobby where 3 belongs"},
	"a recovery gives nothing": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Gone, 0)
		i += index(t, e[i:], "asha", Joined, 0)
		e[i].Messages = nil
		return e
	}, "silent gap: asha came back to lobby without 3 to 4"},
	"no recovery where there should be one": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Gone, 0)
		i += index(t, e[i:], "asha", Joined, 0)
		e[i].Recovered = false
		return e
	}, "loss: asha came back to lobby with 2"},
	"a reset where none was needed": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Received, 5)
		return slices.Insert(e, i, Event{Client: "asha", Kind: Reset, Room: room, Offset: at("e1", 4)})
	}, "loss: asha was at 4 in lobby, at 4 the room held what it missed, and it was reset"},
	"another history without a word": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Reset, 0)
		return slices.Delete(e, i, i+1)
	}, "silent gap: asha heard 1 in lobby of epoch e2 while following e1"},
	"left behind in a former history": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "cleo", Reset, 0)
		e = slices.Delete(e, i, i+1)
		return slices.DeleteFunc(e, func(e Event) bool { return e.Client == "cleo" && e.Message.ID == "again" })
	}, "silent gap: cleo still follows epoch e1"},
	"another history is called recovered": {func(t *testing.T, e []Event) []Event {
		return append(e, Event{Client: "asha", Kind: Gone},
			Event{Client: "asha", Kind: Joined, Room: room, Since: at("e1", 7), Recovered: true, Offset: at("e2", 1)})
	}, "silent gap: asha came back to lobby from epoch e1"},
	"a hole in a history": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "cleo", Joined, 0)
		e[i].Messages = slices.Delete(e[i].Messages, 1, 2)
		return e
	}, "silent gap, duplicate or order: cleo was given 6 in lobby where 5 belongs"},
	"an answer's offset is not its last message's": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "cleo", Joined, 0)
		e[i].Offset = at("e1", 5)
		return e
	}, "cleo was given messages of lobby up to"},
	"a message that nobody published": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "ben", Publishing, 0)
		return slices.Delete(e, i, i+1)
	}, "was published by nobody"},
	"another's words": {func(t *testing.T, e []Event) []Event {
		e[index(t, e, "asha", Received, 5)].Message.Data = `"changed"`
		return e
	}, `is "changed" but was published as "5"`},
	"a session goes on without what it missed": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Gone, 0)
		i += index(t, e[i:], "asha", Joined, 0)
		e[i] = Event{Client: "asha", Kind: Resumed}
		return e
	}, "silent gap: asha heard 5 in lobby after 2"},
	"a message after leaving": {func(t *testing.T, e []Event) []Event {
		i := index(t, e, "asha", Received, 5)
		return slices.Insert(e, i, Event{Client: "asha", Kind: Left, Room: room})
	}, "asha heard 5 in lobby, where it is not a member"},
}
