package broker

import (
	"encoding/json"
	"testing"
)

// A user is written as encoding/json writes one, byte for byte: relays compare what others have written.
func FuzzUserText(f *testing.F) {
	f.Add("~abc", "Ben", true, "eu", "r1")
	f.Add("a", `"quoted" \ <b>&amp;</b>`, false, "", "")
	f.Add("b", "Zoë\u2028\x00\x7f\xff", false, "ürümqi", "")
	f.Fuzz(func(t *testing.T, id, name string, guest bool, region, relay string) {
		u := User{ID: id, Name: name, Guest: guest, Place: Place{region, relay}}
		want, err := json.Marshal(u)
		if got := u.Text(); err != nil || got != string(want) {
			t.Errorf("%s, and not %s (%v)", got, want, err)
		}
	})
}

func TestUserTextAllocates(t *testing.T) {
	u := User{ID: "~abc", Name: "Ben", Place: Place{"eu", "r1"}}
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { u.AppendText(dst) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
