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

// If the relay has lost what is stored, it stays, and a gap says so, as on a page that was not reloaded.
func TestStoredScreenOfWhatIsLost(t *testing.T) {
	one, two, three := written(1, "~a", "one"), written(2, "me", "two"), written(3, "~a", "three")
	other := written(1, "~b", "anew")
	other.ID = "other"
	for name, c := range map[string]struct {
		answer Snapshot
		want   string
		gap    bool
		unread int
	}{
		"nothing is left":         {Snapshot{}, "[one two three]", true, 0},
		"it began again":          {Snapshot{Messages: []Message{other}}, "[one two three anew]", true, 1},
		"it goes on":              {Snapshot{Messages: []Message{two, three, written(4, "~a", "four")}, HasMore: true}, "[two three four]", false, 1},
		"a page does not reach":   {Snapshot{Messages: []Message{written(9, "~a", "nine")}, HasMore: true}, "[nine]", false, 6},
		"the room is as it was":   {Snapshot{Messages: []Message{one, two, three}}, "[one two three]", false, 0},
		"it may not be read here": {Snapshot{HasMore: true}, "[]", false, 0},
	} {
		r := newRoom("harbour")
		r.Enter(Snapshot{Messages: []Message{one, two, three}})
		later := newRoom("harbour")
		later.Seen = 3
		later.ShowStored(r.EncodeScreen(5))
		if told := later.Enter(c.answer); told != c.gap {
			t.Errorf("%s: a gap is told of: %v", name, told)
		}
		gap := false
		for _, row := range later.Timeline.Rows() {
			gap = gap || row.Kind == RowGap
			if c.gap && row.Kind == RowStart && row.Text != "This is where the room's history begins." {
				t.Errorf("%s: %q", name, row.Text)
			}
		}
		if rows := texts(later); fmt.Sprint(rows) != c.want || gap != c.gap || later.StoredAt != 0 || !later.Entered {
			t.Errorf("%s: %q, gap: %v", name, rows, gap)
		}
		if later.Timeline.Unread != c.unread {
			t.Errorf("%s: %d unread", name, later.Timeline.Unread)
		}
	}
}

// What was shown without a connection stands above what the relay still has, once it is clear that the relay has
// nothing older.
func TestStoredScreenOlderThanTheHistory(t *testing.T) {
	page := func(from, to int64) (out []Message) {
		for i := from; i <= to; i++ {
			out = append(out, written(i, "~a", fmt.Sprint(i)))
		}
		return out
	}
	show := func(r *Room) string {
		for r.Timeline.Older() {
		}
		var out []string
		for _, row := range r.Timeline.Rows() {
			switch row.Kind {
			case RowMessage:
				out = append(out, row.Entry.Body.Text)
			case RowGap, RowStart:
				out = append(out, row.Text)
			}
		}
		return strings.Join(out, "|")
	}
	const begins = "This is where the room's history begins."
	for name, c := range map[string]struct {
		answer, page []Message // the page of older messages is the last one
		want         string
	}{
		"more was missed than is kept":       {page(9, 10), page(7, 8), begins + "|1|2|3|3 messages are no longer kept|7|8|9|10"},
		"so, and the answer is all of it":    {page(7, 8), nil, begins + "|1|2|3|3 messages are no longer kept|7|8"},
		"all that was missed is kept":        {page(9, 10), page(4, 8), begins + "|1|2|3|4|5|6|7|8|9|10"},
		"some of what was shown is kept":     {page(9, 10), page(3, 8), begins + "|1|2|3|4|5|6|7|8|9|10"},
		"the answer has some of it":          {page(2, 4), nil, begins + "|1|2|3|4"},
		"the relay has all that was shown":   {page(3, 4), page(1, 2), begins + "|1|2|3|4"},
		"the relay has no more than is seen": {page(1, 3), nil, begins + "|1|2|3"},
	} {
		r := newRoom("harbour")
		r.Enter(Snapshot{Messages: page(1, 3)})
		later := newRoom("harbour")
		later.Seen = 3
		later.ShowStored(r.EncodeScreen(5))
		later.Enter(Snapshot{Messages: c.answer, HasMore: c.page != nil})
		if rows := texts(later); c.page != nil && len(rows) != len(c.answer) {
			t.Errorf("%s: before the relay has told all, %q", name, rows)
		}
		if c.page != nil {
			later.Timeline.Prepend(c.page, false)
		}
		if gap := later.Timeline.TakeLapse(); gap != (Lapse{}) != strings.Contains(c.want, "no longer kept") || gap.Last > 0 && gap != (Lapse{3, 7}) || later.Timeline.TakeLapse() != (Lapse{}) {
			t.Errorf("%s: %+v is told", name, gap)
		}
		if got := show(later); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A gap is stored with what stands around it, and with nothing below it, too.
func TestStoredScreenWithGaps(t *testing.T) {
	r := newRoom("harbour")
	r.Enter(Snapshot{Messages: []Message{written(1, "~a", "one")}})
	for _, c := range []struct {
		come []Message
		want string
	}{
		{nil, "[1 gap]"},
		{[]Message{written(9, "~a", "nine")}, "[1 gap 9 gap]"},
		{[]Message{written(12, "~a", "twelve")}, "[1 gap 9 gap 12 gap]"},
	} {
		for _, m := range c.come {
			r.AddLive(m, true)
		}
		r.Timeline.Gap()
		later := newRoom("harbour")
		later.ShowStored(r.EncodeScreen(5))
		var got []any
		for _, e := range later.Timeline.entries {
			if e.Kind == KindGap {
				got = append(got, "gap")
			} else {
				got = append(got, e.Seq)
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v instead of %s", got, c.want)
		}
	}
}

// Where there was a history before, it does not begin with what is there now.
func TestStartOfWhatIsLost(t *testing.T) {
	start := func(seen int64, messages ...Message) string {
		r := newRoom("harbour")
		r.Seen = seen
		r.Enter(Snapshot{Messages: messages})
		return r.Timeline.startText()
	}
	const begins, lost = "This is where the room's history begins.", "What was here before is no longer kept."
	one, two := written(1, "~a", "one"), written(2, "~a", "two")
	for _, c := range []struct{ got, want string }{
		{start(0), begins}, {start(0, one, two), begins}, {start(1, one, two), begins}, {start(2, one, two), begins},
		{start(3, one, two), lost}, {start(3), lost},
	} {
		if c.got != c.want {
			t.Errorf("%q instead of %q", c.got, c.want)
		}
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
