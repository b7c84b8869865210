package broker

import (
	"reflect"
	"strings"
	"testing"
)

func FuzzNotes(f *testing.F) {
	f.Add("1 0 0 \n")
	f.Add("7 1700000000000 0 Mu7IEnGmWx_z\n👍\tMu7IEnGmWx_zNu7IEnGmWx_z\n+ 1\tMu7IEnGmWx_z\n")
	f.Add("2 0 1 \n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNotes(text)
		if err != nil {
			return
		}
		again := string(n.Append(nil))
		if same, err := ParseNotes(again); err != nil || !reflect.DeepEqual(same, n) {
			t.Errorf("%q reads as %+v, which reads as %+v, %v", text, n, same, err)
		}
		for _, r := range n.Reactions {
			if r.Count() < 1 || !r.Has(r.Marks[:markLength]) {
				t.Errorf("%+v", r)
			}
		}
	})
}

// What is not told in order, or twice, changes nothing.
func TestNotesWith(t *testing.T) {
	ann, ben := Mark("ann"), Mark("ben")
	if len(ann) != markLength || ann == ben || strings.ContainsAny(ann, " \n\t") {
		t.Errorf("%q, %q", ann, ben)
	}
	var n *Notes
	say := func(note Note) { n = n.With(&note, 5) }
	say(Note{Kind: Reaction, Value: "+", Mark: ann, Rev: 1})
	say(Note{Kind: Reaction, Value: "-", Mark: ann, Rev: 2})
	say(Note{Kind: Reaction, Value: "+", Mark: ben, Rev: 3})
	before := n
	say(Note{Kind: Reaction, Value: "+", Mark: ann, Rev: 2, Remove: true})
	if n != before {
		t.Error("an old one changed something")
	}
	say(Note{Kind: Edit, Rev: 4})
	say(Note{Kind: Reaction, Value: "-", Mark: ann, Rev: 5, Remove: true})
	want := &Notes{Rev: 5, Edited: 5, Reactions: []Reactions{{"+", ann + ben}}}
	if !reflect.DeepEqual(n, want) || len(before.Reactions) != 2 || before.Edited != 0 {
		t.Errorf("%+v, want %+v; before %+v", n, want, before)
	}
	say(Note{Kind: Delete, Rev: 6})
	if want = (&Notes{Rev: 6, Deleted: true}); !reflect.DeepEqual(n, want) {
		t.Errorf("%+v", n)
	}
}
