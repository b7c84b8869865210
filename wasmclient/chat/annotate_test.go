package chat

import (
	"fmt"
	"slices"
	"testing"
)

func reaction(offset string, rev int64, by User, value string, count int, remove bool) Annotation {
	return Annotation{Offset: offset, Kind: ReactionGiven, By: by.ID, Rev: rev, Value: value, Count: count, Remove: remove}
}

func annotatedRoom() *Room {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: []Message{said(asha, 1, 0), said(me, 2, 0)}})
	return r
}

func (r *Room) reactions(seq int64) (labels []string) {
	for _, reaction := range r.Timeline.byOffset(fmt.Sprint("o", seq)).Annotations.Reactions {
		labels = append(labels, reaction.Label())
	}
	return labels
}

func TestReactionsByRevision(t *testing.T) {
	r := annotatedRoom()
	for _, step := range []struct {
		a       Annotation
		changes bool
		want    []string
	}{
		{reaction("o1", 1, asha, "👍", 1, false), true, []string{"👍, 1"}},
		{reaction("o1", 2, me, "👍", 2, false), true, []string{"👍, 2, you too"}},
		{reaction("o1", 2, me, "👍", 9, true), false, []string{"👍, 2, you too"}},    // it is known
		{reaction("o1", 1, asha, "👍", 1, false), false, []string{"👍, 2, you too"}}, // so is this
		{reaction("o1", 3, asha, "zoo", 1, false), true, []string{"👍, 2, you too", "zoo, 1"}},
		{reaction("o1", 4, asha, "🙏", 1, false), true, []string{"👍, 2, you too", "🙏, 1", "zoo, 1"}},
		{reaction("o1", 5, asha, "👍", 1, true), true, []string{"👍, 1, you too", "🙏, 1", "zoo, 1"}},
		{reaction("o1", 6, me, "👍", 0, true), true, []string{"🙏, 1", "zoo, 1"}},
		{reaction("o1", 7, asha, "\u200b\u202e", 1, false), true, []string{"🙏, 1", "zoo, 1", "…, 1"}}, // nothing is seen of it
		{reaction("gone", 1, asha, "👍", 1, false), false, []string{"🙏, 1", "zoo, 1", "…, 1"}},
		{Annotation{Offset: "o1", Rev: 8}, true, []string{"🙏, 1", "zoo, 1", "…, 1"}}, // a kind of tomorrow's
	} {
		if got := r.Annotate(step.a); got != step.changes || !slices.Equal(r.reactions(1), step.want) {
			t.Errorf("rev %d of %s: changes %t, %q", step.a.Rev, step.a.Offset, got, r.reactions(1))
		}
	}
	if r.Timeline.Unread != 0 {
		t.Error("a reaction is unread")
	}
}

func TestEditsAndDeletes(t *testing.T) {
	r := annotatedRoom()
	quoting := said(asha, 3, 0)
	quoting.Data = []byte(`{"text":"Yes","reply":{"offset":"o1","seq":1,"from":"a","name":"Asha","excerpt":"x"}}`)
	r.AddLive(quoting, true)
	before := slices.Clone(r.Timeline.Rows())
	r.Annotate(reaction("o1", 1, me, "👍", 1, false))
	if e := r.Timeline.byOffset("o1"); e.SaysAnew(before[2].Entry) || e == before[2].Entry {
		t.Error("a reaction writes the text anew, or is not drawn")
	}
	for rev, text := range map[int64]string{2: "An other text", 3: "Another text"} {
		r.Annotate(Annotation{Offset: "o1", Kind: MessageEdited, By: "a", At: 1000, Rev: rev, Data: fmt.Appendf(nil, `{"text":%q}`, text)})
	}
	r.Annotate(Annotation{Offset: "o1", Kind: MessageEdited, By: "a", At: 1000, Rev: 3, Data: []byte(`{"text":"Another text"}`)})
	now := r.Timeline.byOffset("o1")
	if now.Body.Text != "Another text" || now.Annotations.EditedAt != 1000 || len(now.Annotations.Reactions) != 1 || !now.SaysAnew(before[2].Entry) {
		t.Errorf("edited: %+v", now)
	}
	if quote := r.Timeline.byOffset("o3"); !quote.SaysAnew(thirdOf(before)) {
		t.Error("what quotes it is not written anew")
	}
	if _, excerpt, _ := r.Timeline.Quoted(&Reply{Offset: "o1"}); excerpt != "Another text" {
		t.Errorf("quoted as %q", excerpt)
	}
	r.Annotate(Annotation{Offset: "o1", Kind: MessageDeleted, By: "a", Rev: 4})
	r.Annotate(Annotation{Offset: "o1", Kind: MessageEdited, By: "a", At: 2000, Rev: 5, Data: []byte(`{"text":"Back"}`)})
	now = r.Timeline.byOffset("o1")
	if now.Body.Text != DeletedMessage || now.Data != nil || now.Body.Class() != "deleted" || now.Body.Written() != "" || !now.Annotations.Deleted || now.Annotations.Reactions != nil || now.Annotatable() {
		t.Errorf("deleted: %+v", now)
	}
	if _, excerpt, _ := r.Timeline.Quoted(&Reply{Offset: "o1", Excerpt: "what it said"}); excerpt != DeletedMessage {
		t.Errorf("quoted as %q", excerpt)
	}
	if text := r.EncodeScreen(5); text == "" {
		t.Error("not stored")
	} else {
		next := newRoom("river")
		next.ShowStored(text)
		if e := next.Timeline.byOffset("o1"); e.Body.Kind != BodyDeleted {
			t.Errorf("stored as %+v", e.Body)
		}
	}
}

func thirdOf(rows []Row) *Entry {
	return rows[slices.IndexFunc(rows, func(r Row) bool { return r.Entry != nil && r.Entry.Seq == 3 })].Entry
}

func TestAnnotationsOfLists(t *testing.T) {
	r := newRoom("river")
	if r.Annotate(reaction("o1", 3, asha, "👍", 2, false)) {
		t.Error("an annotation is shown before its message is there")
	}
	listed := said(asha, 1, 0)
	listed.Annotations = Annotations{Rev: 2, Reactions: []Reaction{{"👍", 1, true}}}
	r.Enter(Snapshot{Messages: []Message{listed}})
	if got := r.reactions(1); !slices.Equal(got, []string{"👍, 2, you too"}) {
		t.Errorf("entered with %q", got)
	}
	// A list that is older says nothing; one after a loss does.
	r.Timeline.Prepend([]Message{listed}, false)
	if got := r.reactions(1); !slices.Equal(got, []string{"👍, 2, you too"}) {
		t.Errorf("%q after an older list", got)
	}
	r.Resync(Snapshot{Messages: []Message{listed}}, true)
	if got := r.reactions(1); !slices.Equal(got, []string{"👍, 1, you too"}) {
		t.Errorf("%q after a reset", got)
	}
	listed.Annotations = Annotations{Rev: 4, EditedAt: 7}
	listed.Data = []byte(`{"text":"edited"}`)
	r.Timeline.Prepend([]Message{listed}, false)
	if e := r.Timeline.byOffset("o1"); e.Body.Text != "edited" || len(e.Annotations.Reactions) != 0 {
		t.Errorf("%+v after a newer list", e)
	}
}

func TestOnlyOnesOwnIsEdited(t *testing.T) {
	r := annotatedRoom()
	r.Timeline.Send("pending", &Body{Text: "x"}, 0)
	mine, others, pending := r.Timeline.byOffset("o2"), r.Timeline.byOffset("o1"), r.Timeline.Find("own/pending")
	if !mine.Editable() || !mine.Deletable() || others.Editable() || others.Deletable() || !others.Annotatable() || pending.Annotatable() || pending.Deletable() {
		t.Error("what one may do is not what one's own decides")
	}
	if _, ok := r.BeginEdit(others.Key); ok || r.Edit != nil {
		t.Error("another's is edited")
	}
	if text, ok := r.BeginEdit(mine.Key); !ok || text != "2" || r.Edit.Text != "2" {
		t.Errorf("%q is edited", text)
	}
	data := []byte(`{"text":"Yes, @Gone","reply":{"offset":"o1","seq":1,"from":"a","name":"Asha","excerpt":"x"},"mentions":[{"id":"g","name":"Gone"}]}`)
	r.Annotate(Annotation{Offset: "o2", Kind: MessageEdited, By: me.ID, Rev: 1, At: 1, Data: data})
	body, offset, ok := r.Edited("No, @Gone and @Asha")
	if !ok || offset != "o2" || body.Text != "No, @Gone and @Asha" || body.Reply == nil || body.Reply.Offset != "o1" || len(body.Mentions) != 2 {
		t.Errorf("edited to %+v at %q, %t", body, offset, ok)
	}
	r.Annotate(Annotation{Offset: "o2", Kind: MessageDeleted, By: me.ID, Rev: 2})
	if _, _, ok := r.Edited("No"); ok {
		t.Error("what was deleted is edited")
	}
	picture := said(me, 4, 0)
	picture.Attachments, picture.Data = [][]byte{{1}}, []byte(`{}`)
	r.AddLive(picture, true)
	if e := r.Timeline.byOffset("o4"); e.Editable() || !e.Deletable() {
		t.Error("more than a text is edited")
	}
}

// What is being edited or answered is marked where it stands, and nothing else is.
func TestAim(t *testing.T) {
	r := newRoom("harbour")
	r.Enter(Snapshot{Messages: []Message{written(1, "me", "one"), written(2, "~a", "two")}})
	aimed := func() (texts []string) {
		for _, row := range r.Timeline.Rows() {
			if row.Aim {
				texts = append(texts, row.Entry.Body.Text)
			}
		}
		return texts
	}
	mine, other := r.Timeline.entries[0], r.Timeline.entries[1]
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { r.Reply = ReplyTo(other) }, "[two]"},
		{func() { r.BeginEdit(mine.Key) }, "[one]"},
		{func() { r.Edit = nil }, "[two]"},
		{func() { r.Reply = nil }, "[]"},
	} {
		step.do()
		if !r.Aim() || r.Aim() {
			t.Errorf("%s: a change is to be told once", step.want)
		}
		if got := fmt.Sprint(aimed()); got != step.want {
			t.Errorf("%s instead of %s", got, step.want)
		}
	}
	if r.BeginEdit(mine.Key); r.Edit.Excerpt != "one" {
		t.Errorf("%+v", r.Edit)
	}
}

// What ArrowUp brings back is the last message that was sent, as it reads now: an edit of an older one changes
// nothing, and one of which nothing is left is passed over.
func TestLastOwnText(t *testing.T) {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: []Message{written(1, "me", "older"), written(2, "me", "teh last"), written(3, "~a", "another's")}})
	edited := func(offset string, rev int64, text string) {
		r.Annotate(Annotation{Offset: offset, Kind: MessageEdited, By: "me", Rev: rev, At: 1, Data: fmt.Appendf(nil, `{"text":%q}`, text)})
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { edited("o1", 1, "older, edited") }, "teh last"},
		{func() { edited("o2", 1, "the last") }, "the last"},
		{func() { r.Timeline.Send("waits", &Body{Text: "waits"}, 0) }, "waits"},
		{func() { r.Timeline.Send("picture", &Body{Kind: BodyPicture}, 0) }, "waits"},
		{func() { r.Timeline.Discard("waits") }, "the last"},
		{func() { r.Annotate(Annotation{Offset: "o2", Kind: MessageDeleted, By: "me", Rev: 2}) }, "older, edited"},
	} {
		if step.do(); r.Timeline.LastOwn() != step.want {
			t.Errorf("%q comes back instead of %q", r.Timeline.LastOwn(), step.want)
		}
	}
}
