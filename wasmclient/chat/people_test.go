package chat

import (
	"slices"
	"testing"
	"time"
)

// crowd is a room's people as a test sees them.
type crowd struct {
	People
	t *testing.T
}

func after(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

func (c *crowd) want(list ...string) {
	c.t.Helper()
	var got []string
	for _, u := range c.List(me.ID) {
		got = append(got, u.Name)
	}
	if !slices.Equal(got, list) {
		c.t.Errorf("got %q, want %q", got, list)
	}
	if c.Number() != len(list) {
		c.t.Errorf("%d are counted, %d shown", c.Number(), len(list))
	}
}

func TestPeople(t *testing.T) {
	p := &crowd{t: t}
	p.Set([]User{ben, me, asha}, 3, after(0))
	p.want("Mira", "Asha", "Ben")

	// Who leaves and comes back within Grace causes no change.
	p.Change(nil, []User{ben}, nil, 2, after(1))
	p.ApplyDue(after(5))
	p.Change([]User{ben}, nil, nil, 3, after(5.5))
	p.ApplyDue(after(20))
	p.want("Mira", "Asha", "Ben")

	// Who comes is shown at once, and who leaves is gone after Grace.
	dora := User{ID: "d", Name: "Dora"}
	p.Change([]User{dora}, []User{asha}, nil, 3, after(41))
	p.want("Mira", "Asha", "Ben", "Dora")
	if changed, next := p.ApplyDue(after(45)); changed || !next.Equal(after(46)) {
		t.Errorf("changed %v, next %v", changed, next)
	}
	if changed, next := p.ApplyDue(after(46)); !changed || !next.IsZero() {
		t.Errorf("changed %v, next %v", changed, next)
	}
	p.want("Mira", "Ben", "Dora")

	// A message's author is present, under the name that came with it. Who is not on the list may be
	// here unseen.
	p.Change(nil, []User{dora}, nil, 2, after(50))
	if p.SetPresent(asha) || p.SetPresent(dora) || !p.SetPresent(User{ID: "b", Name: "Bennie"}) {
		t.Error("writing does not tell who is here")
	}
	p.ApplyDue(after(60))
	p.want("Mira", "Bennie", "Dora")

	// A new name is shown at once, also of somebody who is leaving.
	p.Change(nil, []User{dora}, nil, 2, after(61))
	p.Change(nil, nil, []User{{ID: "d", Name: "Dorothy"}, {ID: "x", Name: "Nobody"}}, 2, after(61))
	p.want("Mira", "Bennie", "Dorothy")

	// A list after a reconnect brings the new ones, and takes the others away after Grace.
	p.Set([]User{me, asha}, 2, after(62))
	p.want("Mira", "Asha", "Bennie", "Dorothy")
	p.ApplyDue(after(67))
	p.want("Mira", "Asha")
}

// Of a large room the relay tells the count alone, and no page goes on with an older list.
func TestPeopleOfALargeRoom(t *testing.T) {
	p := &crowd{t: t}
	p.Set([]User{me, asha, ben}, 3, after(0))
	p.Change(nil, nil, nil, 1012, after(1))
	if p.Known() || p.Number() != 1012 || len(p.List(me.ID)) != 0 {
		t.Errorf("%d people, a list of %d", p.Number(), len(p.List(me.ID)))
	}
	if got := p.Note(me.ID, 0); got != "This room is too large to list everyone." {
		t.Errorf("said %q", got)
	}
	if ask, next := p.Check(after(1), 0); ask || !next.IsZero() {
		t.Error("a list is asked for that there is none of")
	}

	// It is small again, and nobody has sent the list.
	p.Change(nil, []User{asha}, nil, 2, after(10))
	if got := p.Note(me.ID, 0); got != "" {
		t.Errorf("said %q", got)
	}
	if ask, next := p.Check(after(10), time.Second); ask || !next.Equal(after(13)) {
		t.Errorf("asked %v, next %v", ask, next)
	}
	if ask, _ := p.Check(after(13), 0); !ask {
		t.Error("nobody asks who is here")
	}
	p.Set([]User{me, ben}, 2, after(14))
	p.want("Mira", "Ben")
	if _, next := p.Check(after(14), 0); !next.IsZero() {
		t.Error("asked again though all is well")
	}
}

// A list that disagrees with its count is asked for, less and less often if that does not help.
func TestPeopleThatDisagreeWithTheirCount(t *testing.T) {
	p := &crowd{t: t}
	p.Set([]User{me, asha}, 2, after(0))
	p.Change([]User{ben}, nil, nil, 4, after(1))
	var asked []float64
	for now := 1.0; now < 60; now++ {
		if ask, _ := p.Check(after(now), 0); ask {
			asked = append(asked, now)
		}
	}
	if !slices.Equal(asked, []float64{3, 7, 15, 31}) {
		t.Errorf("asked at %v", asked)
	}
	// A change that comes in time leaves nothing to ask.
	p.Set([]User{me, asha, ben}, 3, after(60))
	p.Check(after(60), 0)
	p.Change(nil, []User{asha}, nil, 3, after(61))
	p.Check(after(61), 0)
	p.Change([]User{{ID: "d", Name: "Dora"}}, nil, nil, 3, after(62))
	for now := 62.0; now < 70; now++ {
		if ask, _ := p.Check(after(now), 0); ask {
			t.Errorf("asked at %v", now)
		}
	}
}

func TestPeopleNote(t *testing.T) {
	p := &crowd{t: t}
	p.Set([]User{me}, 1, after(0))
	if got := p.Note(me.ID, 1); got != "Nobody else yet. Share the link." {
		t.Errorf("alone: %q", got)
	}
	p.Change(nil, []User{}, []User{me}, 1012, after(0))
	if got := p.Note(me.ID, 1); got != "" {
		t.Errorf("alone on the list, and not in the room: %q", got)
	}
	all := make([]User, 0, 212)
	for i := range 212 {
		all = append(all, User{ID: string(rune(0x4e00 + i)), Name: "x"})
	}
	p.Set(all, 212, after(0))
	p.ApplyDue(after(10))
	if got := p.Note(me.ID, 200); got != "and 12 more" {
		t.Errorf("of 212: %q", got)
	}
	if got := p.Note(me.ID, 212); got != "" {
		t.Errorf("all of 212: %q", got)
	}
}
