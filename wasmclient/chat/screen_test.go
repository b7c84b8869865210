package chat

import (
	"fmt"
	"strings"
	"testing"
)

func written(seq int64, from, text string) Message {
	return Message{Seq: seq, ID: fmt.Sprint("m", seq), From: User{ID: from, Name: from, Guest: true}, At: 1_700_000_000_000 + seq*1000,
		Data: []byte(fmt.Sprintf(`{"text":%q}`, text)), Offset: fmt.Sprint("o", seq)}
}

func texts(r *Room) (out []string) {
	for _, row := range r.Timeline.Rows() {
		if row.Kind == RowMessage {
			out = append(out, row.Entry.Body.Text)
		}
	}
	return out
}

// What was stored is shown until the room is entered, and nothing of it after that.
func TestStoredScreen(t *testing.T) {
	r := newRoom("harbour")
	r.Enter(Snapshot{Messages: []Message{written(1, "~a", "one"), written(2, "me", "two"), written(3, "~a", "three")}})
	text := r.EncodeScreen(5)
	later := newRoom("harbour")
	later.ShowStored(text)
	if rows := texts(later); fmt.Sprint(rows) != "[one two three]" || later.StoredAt != 5 {
		t.Errorf("%q, of %d", rows, later.StoredAt)
	}
	for _, row := range later.Timeline.Rows() {
		if row.Kind == RowStart {
			t.Error("it says that the history begins there")
		}
	}
	later.Timeline.Send("mine", &Body{Text: "meanwhile"}, 6)
	later.Enter(Snapshot{Messages: []Message{written(9, "~a", "nine")}, HasMore: true})
	if rows := texts(later); fmt.Sprint(rows) != "[nine meanwhile]" || later.StoredAt != 0 {
		t.Errorf("after the join: %q", rows)
	}
	later.ShowStored(text)
	if rows := texts(later); fmt.Sprint(rows) != "[nine meanwhile]" {
		t.Errorf("what is stored comes over what is known: %q", rows)
	}
	for _, bad := range []string{"", "{", "[]", `{"at":0}`, `{"at":1,"messages":[` + strings.TrimSuffix(strings.Repeat("{},", 50), ",") + `]}`} {
		r := newRoom("harbour")
		if r.ShowStored(bad); !r.Timeline.Empty() || r.StoredAt != 0 {
			t.Errorf("%q shows %q", bad, texts(r))
		}
	}
}

func TestStoredScreenIsBounded(t *testing.T) {
	r := newRoom("harbour")
	var all []Message
	for i := range 100 {
		all = append(all, written(int64(i+1), "~a", fmt.Sprint("text ", i+1)))
	}
	r.Enter(Snapshot{Messages: all})
	later := newRoom("harbour")
	later.ShowStored(r.EncodeScreen(1))
	if rows := texts(later); len(rows) != screenMessages || rows[len(rows)-1] != "text 100" {
		t.Errorf("%q", rows)
	}
	r.AddLive(written(101, "~a", strings.Repeat("x", maxScreen)), true)
	if text := r.EncodeScreen(1); text != "" {
		t.Errorf("%d bytes", len(text))
	}
}

// Nothing is stored of what may not be read.
func TestStoredScreenOfWhatIsDenied(t *testing.T) {
	for what, deny := range map[string]func(*Room){
		"not entered": func(r *Room) { r.Entered = false },
		"join":        func(r *Room) { r.Denied.Join = true },
		"history":     func(r *Room) { r.Denied.History = true },
		"refused":     func(r *Room) { r.Refusal = "full" },
	} {
		r := newRoom("harbour")
		r.Enter(Snapshot{Messages: []Message{written(1, "~a", "one")}})
		if deny(r); r.EncodeScreen(1) != "" {
			t.Errorf("%s: stored", what)
		}
	}
}
