package chat

import (
	"fmt"
	"testing"
)

// editing returns a room with two messages of this user's and one of Asha's, the first of which is being edited.
func editing(words string) *Room {
	r := newRoom("harbour")
	r.Enter(Snapshot{Messages: []Message{written(1, "me", "one"), written(2, "~a", "two"), written(3, "me", "three")}})
	r.BeginEdit("own/m1")
	r.Edit.Text = words
	return r
}

// lines returns what is shown below the messages of edits that are set aside.
func lines(r *Room) (out []string) {
	for _, row := range r.Timeline.Rows() {
		if row.Unsaved != "" {
			out = append(out, row.Entry.Body.Text+": "+row.Unsaved)
		}
	}
	return out
}

// Whatever is begun beside an edit, its words are kept at the message, for as long as they would be missed.
func TestEditsSetAside(t *testing.T) {
	for name, c := range map[string]struct {
		words   string
		sending bool
		unsaved bool
		lines   string
	}{
		"unchanged": {"one ", false, false, "[]"},
		"emptied":   {" ", false, false, "[]"},
		"changed":   {"one more", false, true, "[one: Edit not saved]"},
		"asked for": {"one more", true, false, "[one: Saving your edit…]"},
	} {
		r := editing(c.words)
		r.Edit.Sending = c.sending
		if unsaved := r.SetEditAside(); unsaved != c.unsaved || r.Edit != nil || fmt.Sprint(lines(r)) != c.lines {
			t.Errorf("%s: unsaved %t, %v, %+v", name, unsaved, lines(r), r.Edit)
		}
	}
	r := editing("one more")
	if text, _ := r.BeginEdit("own/m3"); text != "three" || fmt.Sprint(lines(r)) != "[one: Edit not saved]" {
		t.Errorf("another edit has %q, and leaves %v", text, lines(r))
	}
	if text, _ := r.BeginEdit("own/m1"); text != "one more" || len(lines(r)) > 0 {
		t.Errorf("the first one goes on with %q, %v", text, lines(r))
	}
	if text, _ := r.BeginEdit("own/m1"); text != "one more" {
		t.Errorf("begun again, it goes on with %q", text)
	}
	r.SetEditAside()
	if r.DropAside("own/m1"); len(lines(r)) > 0 {
		t.Errorf("given up: %v", lines(r))
	}
}

// The relay's answer ends an edit, in the composer or set aside, unless there are words that it does not have.
func TestEditsAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		aside  bool
		words  string // when the answer comes
		reason string
		over   bool
		lines  string
	}{
		"stored":             {false, "one more", "", true, "[]"},
		"refused":            {false, "one more", "too often", false, "[]"},
		"written on":         {false, "one more, too", "", false, "[]"},
		"stored, aside":      {true, "one more", "", true, "[]"},
		"refused, aside":     {true, "one more", "too often", false, "[one: Edit not saved: too often]"},
		"written on, aside":  {true, "one more, too", "", false, "[one: Edit not saved]"},
		"taken back, stored": {false, "", "", true, "[]"},
	} {
		r := editing(c.words)
		edit := r.Edit
		edit.Sending = true
		if c.aside {
			r.SetEditAside()
		}
		over := r.EditAnswered(edit, "one more", c.reason)
		if over != c.over || fmt.Sprint(lines(r)) != c.lines || (r.Edit == edit) != (!over && !c.aside) || r.IsAside(edit) != (!over && c.aside) {
			t.Errorf("%s: over %t, %v, %+v", name, over, lines(r), r.Edit)
		}
	}
}

// An edit whose message is gone leaves its words; one that was stored without a word is over. What is not known
// yet goes on.
func TestEditsSettle(t *testing.T) {
	gone := Annotation{Offset: "o1", Kind: MessageDeleted, By: "me", Rev: 1}
	later := []Message{written(8, "~a", "eight"), written(9, "~a", "nine")}
	for name, c := range map[string]struct {
		words string
		do    func(r *Room)
		left  string
		over  bool
	}{
		"as it was":      {"one more", func(*Room) {}, "", false},
		"deleted":        {"one more", func(r *Room) { r.Annotate(gone) }, "one more", true},
		"nothing to say": {"one", func(r *Room) { r.Annotate(gone) }, "", true},
		"asked for":      {"one more", func(r *Room) { r.Edit.Sending = true; r.Annotate(gone) }, "", false},
		"stored": {"one more", func(r *Room) {
			r.Annotate(Annotation{Offset: "o1", Kind: MessageEdited, By: "me", Rev: 1, Data: []byte(`{"text":"one more"}`)})
		}, "", true},
		"farther up":     {"one more", func(r *Room) { restarted(r, Snapshot{Messages: later, HasMore: true}) }, "", false},
		"expired":        {"one more", func(r *Room) { restarted(r, Snapshot{Messages: later}) }, "one more", true},
		"lost":           {"one more", func(r *Room) { restarted(r, Snapshot{}) }, "one more", true},
		"in a gap":       {"one more", func(r *Room) { restarted(r, Snapshot{Messages: later}); r.Timeline.Gap() }, "", false},
		"not there":      {"one more", func(r *Room) { restarted(r, Snapshot{Messages: []Message{written(1, "~a", "x")}, HasMore: true}) }, "one more", true},
		"not entered":    {"one more", func(r *Room) { r.Timeline, r.Entered = newTimeline(), false }, "", false},
		"empty, unknown": {"one more", func(r *Room) { restarted(r, Snapshot{HasMore: true}) }, "", false},
	} {
		r := editing(c.words)
		c.do(r)
		if words := r.SettleEdits(); words != c.left || (r.Edit == nil) != c.over {
			t.Errorf("%s: leaves %q, edit %+v", name, words, r.Edit)
		}
	}
	r := editing("one more")
	r.BeginEdit("own/m3")
	r.Edit.Text = "three more"
	r.Annotate(gone)
	r.Annotate(Annotation{Offset: "o3", Kind: MessageDeleted, By: "me", Rev: 1})
	if words := r.SettleEdits(); words != "three more\n\none more" || r.Edit != nil || len(lines(r)) > 0 {
		t.Errorf("both gone: %q", words)
	}
}

// restarted has the room entered by a page that knows nothing but what was being written.
func restarted(r *Room, a Snapshot) {
	r.Timeline, r.Entered = newTimeline(), false
	r.Timeline.Self = "me"
	r.Enter(a)
}

// What is farther up than is known can be edited all the same.
func TestEditFartherUp(t *testing.T) {
	r := newRoom("harbour")
	first := written(1, "me", "one @Gone")
	first.Data = []byte(`{"text":"one @Gone","reply":{"offset":"o0","seq":0,"from":"~a","name":"Asha","excerpt":"x"},"mentions":[{"id":"g","name":"Gone"}]}`)
	r.Enter(Snapshot{Messages: []Message{first}})
	r.BeginEdit("own/m1")
	restarted(r, Snapshot{Messages: []Message{written(9, "~a", "nine")}, HasMore: true})
	body, offset, ok := r.Edited("one, @Gone")
	if !ok || offset != "o1" || body.Reply == nil || body.Reply.Offset != "o0" || len(body.Mentions) != 1 {
		t.Errorf("%+v at %q, %t", body, offset, ok)
	}
	if restarted(r, Snapshot{}); r.Says(r.Edit, "one") {
		t.Error("what is gone says something")
	}
	if _, _, ok := r.Edited("one"); ok {
		t.Error("what is gone is edited")
	}
}

// What is being written beside the draft outlives the page, for the same user, and without what others have said
// where that may not stay.
func TestWritingOutlivesThePage(t *testing.T) {
	r := editing("one more")
	r.BeginEdit("own/m3")
	r.Edit.Text, r.Edit.Sending = "three more", true
	r.Reply = ReplyTo(r.Timeline.entries[1])
	kept := r.EncodeWriting("user/me", true)
	next := newRoom("harbour")
	if next.RestoreWriting(kept, "user/another") || next.RestoreWriting("{", "user/me") || next.Edit != nil {
		t.Error("restored for another, or out of nothing")
	}
	if !next.RestoreWriting(kept, "user/me") || next.Edit.Text != "three more" || next.Edit.Sending || next.Reply.Excerpt != "two" || next.Reply.Name != "~a" {
		t.Errorf("restored: %+v, reply %+v", next.Edit, next.Reply)
	}
	next.Enter(Snapshot{Messages: []Message{written(1, "me", "one"), written(2, "~a", "two"), written(3, "me", "three")}})
	if next.Aim(); fmt.Sprint(lines(next)) != "[one: Edit not saved]" || next.Timeline.aimed != "own/m3" {
		t.Errorf("%v, aimed at %q", lines(next), next.Timeline.aimed)
	}
	if next.RestoreWriting(kept, "user/me") {
		t.Error("restored over what this page has begun")
	}
	if again := next.EncodeWriting("user/me", true); again != kept {
		t.Errorf("stored as %s, then as %s", kept, again)
	}

	bare := newRoom("harbour")
	bare.RestoreWriting(r.EncodeWriting("", false), "")
	if bare.Reply.Excerpt != "" || bare.Reply.Name != "" || bare.Edit.Text != "three more" {
		t.Errorf("what another has said is stored: %+v", bare.Reply)
	}
	restarted(bare, Snapshot{Messages: []Message{written(2, "~a", "two")}})
	if bare.SettleReply(); bare.Reply.Excerpt != "two" {
		t.Errorf("quoted as %+v", bare.Reply)
	}
	bare.Annotate(Annotation{Offset: "o2", Kind: MessageDeleted, By: "~a", Rev: 1})
	if bare.SettleReply(); bare.Reply != nil {
		t.Error("what was deleted is answered")
	}
	if text := newRoom("harbour").EncodeWriting("user/me", true); text != "" {
		t.Errorf("nothing is stored as %q", text)
	}
}
