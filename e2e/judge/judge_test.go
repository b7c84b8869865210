package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const room = "lobby"

// at is the offset of a place in the room's history of an epoch.
func at(epoch string, seq uint64) string {
	return fmt.Sprintf("%s.%x.%x.d%d", epoch, seq+100, seq, seq)
}

// said is the nth message of a history: ben published it.
func said(epoch string, seq uint64) Message {
	return Message{User: "uben", ID: fmt.Sprintf("m%d", seq), Seq: seq, Offset: at(epoch, seq), Data: fmt.Sprintf(`"%d"`, seq)}
}

func list(epoch string, from, to uint64) (messages []Message) {
	for seq := from; seq <= to; seq++ {
		messages = append(messages, said(epoch, seq))
	}
	return messages
}

func joined(client, since string, recovered bool, epoch string, from, to uint64) Event {
	return Event{Client: client, Kind: Joined, Room: room, Since: since, Recovered: recovered, Offset: at(epoch, to), Messages: list(epoch, from, to)}
}

func heard(client string, epoch string, seqs ...uint64) (events []Event) {
	for _, seq := range seqs {
		events = append(events, Event{Client: client, Kind: Received, Room: room, Message: said(epoch, seq)})
	}
	return events
}

// story is a run in which all went well: ben publishes 1 to 9, asha hears them
// live and comes back after 3 and 4, cleo joins late, and all hear an end in
// another epoch.
func story() []Event {
	var events []Event
	add := func(e ...Event) { events = append(events, e...) }
	say := func(epoch string, seqs ...uint64) {
		for _, seq := range seqs {
			m := said(epoch, seq)
			asked := Message{User: m.User, ID: m.ID, Data: m.Data}
			events = append(events, Event{Client: "ben", Kind: Publishing, Room: room, Message: asked})
			events = append(events, heard("ben", epoch, seq)...)
			events = append(events, Event{Client: "ben", Kind: Stored, Room: room, Message: m})
		}
	}
	empty := func(client string) Event {
		return Event{Client: client, Kind: Joined, Room: room, Offset: "e1.0.0.0"}
	}
	add(empty("asha"), empty("ben"))
	say("e1", 1, 2)
	add(heard("asha", "e1", 1, 2)...)
	add(Event{Client: "asha", Kind: Gone})
	say("e1", 3, 4)
	add(joined("asha", at("e1", 2), true, "e1", 3, 4))
	say("e1", 5, 6)
	add(heard("asha", "e1", 5, 6)...)
	add(joined("cleo", "", false, "e1", 4, 6))
	say("e1", 7)
	add(heard("asha", "e1", 7)...)
	add(heard("cleo", "e1", 7)...)
	for _, client := range []string{"asha", "ben", "cleo"} {
		add(Event{Client: client, Kind: Reset, Room: room, Offset: "e2.9.0.0"})
	}
	events = append(events, Event{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: "uben", ID: "again", Data: "1"}})
	last := Message{User: "uben", ID: "again", Data: "1", Seq: 1, Offset: at("e2", 1)}
	for _, client := range []string{"asha", "ben", "cleo"} {
		add(Event{Client: client, Kind: Received, Room: room, Message: last})
	}
	add(Event{Client: "ben", Kind: Stored, Room: room, Message: last})
	add(Event{Client: "ben", Kind: Stored, Room: room, Message: last, Duplicate: true})
	return events
}

func TestAllWentWell(t *testing.T) {
	v := Judge(Rules{Kept: 256}, story())
	if len(v.Faults) > 0 {
		t.Fatalf("faults where there are none:\n%s", v)
	}
	if v.Stored != 8 || v.Repeated != 1 || v.Recovered != 1 || v.Missed != 2 || v.Resets != 3 || v.Unrecovered != 0 {
		t.Errorf("counted %s", v)
	}
}

// index finds an event of the story.
func index(t *testing.T, events []Event, client string, kind Kind, seq uint64) int {
	t.Helper()
	i := slices.IndexFunc(events, func(e Event) bool {
		return e.Client == client && e.Kind == kind && (e.Message.Seq == seq || seq == 0)
	})
	if i < 0 {
		t.Fatalf("no %s %s %d", client, kind, seq)
	}
	return i
}

func TestPlantedFaultsAreFound(t *testing.T) {
	for name, c := range planted {
		t.Run(name, func(t *testing.T) {
			v := Judge(Rules{Kept: 256}, c.plant(t, story()))
			if len(v.Faults) == 0 || !strings.Contains(v.Faults[0], c.want) {
				t.Errorf("want %q first in\n%s", c.want, v)
			}
		})
	}
}

func TestOrderOfAcknowledged(t *testing.T) {
	events := story()
	// Ben asks for 6 only when 7 is acknowledged.
	second := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Publishing && e.Message.ID == "m6" })
	asked := events[second]
	events = slices.Delete(events, second, second+1)
	stored := index(t, events, "ben", Stored, 7)
	late := index(t, events, "ben", Stored, 6)
	answer := events[late]
	events = slices.Insert(events, stored+1, asked, answer)
	events = slices.Delete(events, late, late+1)
	v := Judge(Rules{Kept: 256}, events)
	if !strings.Contains(v.String(), "order: ben published m6 after 7 had been acknowledged") {
		t.Error(v)
	}
}

func TestGapsThatAreToldAreNoFaults(t *testing.T) {
	events := story()
	i := index(t, events, "asha", Gone, 0)
	i += index(t, events[i:], "asha", Joined, 0)
	events[i].Recovered = false
	if v := Judge(Rules{Kept: 1}, events); len(v.Faults) > 0 || v.Unrecovered != 1 {
		t.Errorf("the room keeps one message, two were missed: %s", v)
	}
}

// A session that goes on hears what it missed as if it were live.
func TestResumed(t *testing.T) {
	events := story()
	i := index(t, events, "asha", Gone, 0)
	i += index(t, events[i:], "asha", Joined, 0)
	events = slices.Replace(events, i, i+1, append([]Event{{Client: "asha", Kind: Resumed}}, heard("asha", "e1", 3, 4)...)...)
	if v := Judge(Rules{Kept: 256}, events); len(v.Faults) > 0 || v.Recovered != 0 || v.Resumed != 1 {
		t.Error(v)
	}
}

// What others have seen is put in its place.
func TestAddAt(t *testing.T) {
	h := NewHistory(Rules{Kept: 256})
	h.Note("one")
	between := time.Now()
	h.Note("three")
	h.AddAt(between, Event{Kind: Told, Note: "two"})
	var notes []string
	for _, e := range h.Events() {
		notes = append(notes, e.Note)
	}
	if !slices.Equal(notes, []string{"one", "two", "three"}) {
		t.Error(notes)
	}
}

// A history that has grown back to the same numbers with other messages.
func TestRolledBack(t *testing.T) {
	other := func(seq uint64) Message {
		m := said("e1", seq)
		m.Offset += "other"
		return m
	}
	events := append(story()[:23:23], Event{Kind: RolledBack})
	for _, client := range []string{"asha", "ben", "cleo"} {
		events = append(events, Event{Client: client, Kind: Gone})
	}
	events = append(events,
		Event{Client: "cleo", Kind: Joined, Room: room, Since: "", Offset: at("e1", 4), Messages: list("e1", 1, 4)},
		Event{Client: "cleo", Kind: Received, Room: room, Message: other(5)},
		Event{Client: "cleo", Kind: Received, Room: room, Message: other(6)})
	back := Event{Client: "asha", Kind: Joined, Room: room, Since: at("e1", 6), Offset: other(6).Offset}
	if v := Judge(Rules{Kept: 256}, append(events, back)); len(v.Faults) > 0 || v.Unrecovered != 1 {
		t.Errorf("asha was told: %s", v)
	}
	back.Recovered = true
	if v := Judge(Rules{Kept: 256}, append(events, back)); !strings.Contains(v.String(), "silent gap: asha came back to lobby with "+at("e1", 6)) {
		t.Errorf("asha was not told: %s", v)
	}
}

// Where Redis loses what it took while relays run, one place may be two messages' for a moment, and is
// not judged; what a client is told without a break still is.
func TestLossy(t *testing.T) {
	other := said("e1", 2)
	other.ID, other.Offset = "other", "e1.2s.2.d9"
	events := []Event{
		{Client: "asha", Kind: Joined, Room: room, Offset: "e1.0.0.0"}, {Client: "cleo", Kind: Joined, Room: room, Offset: "e1.0.0.0"},
		{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: "uben", ID: "m1", Data: `"1"`}},
		{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: "uben", ID: "m2", Data: `"2"`}},
		{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: "uben", ID: "other", Data: `"2"`}},
	}
	events = append(events, heard("asha", "e1", 1, 2)...)
	events = append(events, heard("cleo", "e1", 1)...)
	events = append(events, Event{Client: "cleo", Kind: Received, Room: room, Message: other})
	if v := Judge(Rules{Kept: 8, Lossy: true}, events); len(v.Faults) > 0 {
		t.Errorf("faults where Redis may lose: %s", v)
	}
	if v := Judge(Rules{Kept: 8}, events); len(v.Faults) == 0 {
		t.Error("no fault where Redis loses nothing")
	}
	if v := Judge(Rules{Kept: 8, Lossy: true}, append(events, heard("cleo", "e1", 4)...)); len(v.Faults) == 0 {
		t.Error("a gap that nobody told of is no fault")
	}
}

// A room whose history has expired begins again with 1, for who was there.
func TestExpires(t *testing.T) {
	again := said("e1", 1)
	again.ID, again.Offset = "again", "e1.7s.1.d8"
	events := []Event{{Client: "asha", Kind: Joined, Room: room, Offset: "e1.0.0.0"}}
	for _, id := range []string{"m1", "m2", "again"} {
		events = append(events, Event{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: "uben", ID: id}})
	}
	for i := range events[1:] {
		events[i+1].Message.Data = []string{`"1"`, `"2"`, `"1"`}[i]
	}
	events = append(events, heard("asha", "e1", 1, 2)...)
	events = append(events, Event{Client: "asha", Kind: Received, Room: room, Message: again})
	if v := Judge(Rules{Kept: 8, Expires: true}, events); len(v.Faults) > 0 {
		t.Errorf("faults where histories expire: %s", v)
	}
	if v := Judge(Rules{Kept: 8}, events); len(v.Faults) == 0 {
		t.Error("no fault where they do not")
	}
	if v := Judge(Rules{Kept: 8, Expires: true}, append(events, heard("asha", "e1", 3)...)); len(v.Faults) == 0 {
		t.Error("a gap that nobody told of is no fault")
	}
}

// A relay where a room's newest message has not expired yet takes a moment of after it, from one where it
// has: nothing is missing. With a moment of before it, it is.
func TestExpiredElsewhere(t *testing.T) {
	events := []Event{
		{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: "uben", ID: "m1", Data: `"1"`}},
		{Client: "ben", Kind: Stored, Room: room, Message: said("e1", 1)},
	}
	back := func(since string) Verdict {
		return Judge(Rules{Kept: 8, Expires: true}, append(events, Event{Client: "asha", Kind: Joined, Room: room, Since: since, Recovered: true, Offset: at("e1", 1)}))
	}
	if v := back("e1.65.0.1"); len(v.Faults) > 0 { // position 101 is m1's in base 16, and 65 in base 36 is after it
		t.Errorf("faults of a moment after the newest: %s", v)
	}
	if v := back("e1.1.0.1"); len(v.Faults) == 0 {
		t.Error("no fault of a moment before what was not given")
	}
}

// What a store has lost, and takes again before anybody knows that, is there once: the epoch that comes
// next shows that.
func TestStoredAgainAfterALoss(t *testing.T) {
	place := func(epoch string, seq uint64) Message {
		return Message{User: "uben", ID: "m2", Data: `"2"`, Seq: seq, Offset: at(epoch, seq)}
	}
	stored := func(m Message) Event { return Event{Client: "ben", Kind: Stored, Room: room, Message: m} }
	reset := func(messages ...Message) Event {
		return Event{Client: "asha", Kind: Reset, Room: room, Offset: at("e2", 4), Messages: messages}
	}
	other := Message{User: "x", ID: "x2", Seq: 2, Offset: at("e2", 2), Data: "2"}
	const twice = "duplicate: m2 by uben stands at "
	for what, c := range map[string]struct {
		events []Event // between those in which asha joins at 2, and all go on in e2
		want   string
	}{
		"lost":           {[]Event{stored(place("e1", 4)), reset(said("e2", 1), other, said("e2", 3), place("e2", 4))}, ""},
		"lost, not seen": {[]Event{stored(place("e1", 4)), reset(said("e2", 3), place("e2", 4))}, ""},
		"heard late": {[]Event{stored(place("e1", 4)), joined("cleo", "", false, "e1", 1, 2), reset(said("e2", 3), place("e2", 4)),
			{Client: "cleo", Kind: Gone}}, ""},
		"there":     {[]Event{stored(place("e1", 4)), reset(said("e2", 1), place("e2", 2), said("e2", 3), place("e2", 4))}, twice + "2 and at 4"},
		"gone, too": {[]Event{stored(place("e1", 3)), reset(said("e2", 1), other, said("e2", 3), said("e2", 4))}, twice + "2 and at 3"},
		"went on":   {[]Event{stored(place("e1", 4)), stored(Message{User: "uben", ID: "m5", Data: `"5"`, Seq: 5, Offset: strings.Replace(at("e1", 5), "d5", "lost", 1)}), reset(said("e2", 3), place("e2", 4))}, twice + "2 and at 4"},
	} {
		var events []Event
		for _, m := range []Message{said("", 1), said("", 2), said("", 3), said("", 4), said("", 5), other} {
			events = append(events, Event{Client: m.User, Kind: Publishing, Room: room, Message: Message{User: m.User, ID: m.ID, Data: m.Data}})
		}
		events = append(append(events, joined("asha", "", false, "e1", 1, 2)), c.events...)
		events = append(append(events, heard("asha", "e2", 5)...), stored(said("e2", 5)))
		v := Judge(Rules{Kept: 10}, events)
		if got := strings.Join(v.Faults, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", what, got, c.want)
		}
	}
}

// The offset of an annotation is that of its message only where there are annotations, and never that of another.
func TestOffsetsOfAnnotations(t *testing.T) {
	behind := "e1.70.2.annotation"
	for _, c := range []struct {
		offset    string
		annotated bool
		faults    int
	}{{behind, true, 0}, {behind, false, 1}, {"e1.66.2.before", true, 1}, {"e1.70.1.another", true, 1}, {"e2.70.2.another", true, 1}} {
		var events []Event
		for _, m := range list("e1", 1, 2) {
			events = append(events, Event{Client: "ben", Kind: Publishing, Room: room, Message: Message{User: m.User, ID: m.ID, Data: m.Data}})
		}
		j := joined("asha", "", false, "e1", 1, 2)
		j.Offset = c.offset
		events = append(events, j)
		if got := Judge(Rules{Kept: 10, Lossy: true, Annotated: c.annotated}, events); len(got.Faults) > 0 != (c.faults > 0) {
			t.Errorf("%+v: %q", c, got.Faults)
		}
	}
}
