package chat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// People are sorted when they change, and not when they write.
func TestPeopleAreSortedOnce(t *testing.T) {
	now := time.Now()
	var p People
	asha, ben := User{ID: "1", Name: "asha"}, User{ID: "2", Name: "Ben"}
	p.Set([]User{ben, asha}, 2, now)
	first := p.List("2")
	if first[0] != ben || first[1] != asha {
		t.Fatalf("%v", first)
	}
	version := p.Version()
	if p.SetPresent(asha) || p.Version() != version || &p.List("2")[0] != &first[0] {
		t.Error("a message of somebody who is here has the list sorted anew")
	}
	if by := p.List("1"); by[0] != asha {
		t.Errorf("for another user: %v", by)
	}
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"a new name", func() { p.Change(nil, nil, []User{{ID: "1", Name: "Zoe"}}, 2, now) }},
		{"somebody comes", func() { p.Change([]User{{ID: "3", Name: "Cleo"}}, nil, nil, 3, now) }},
		{"somebody goes", func() {
			p.Change(nil, []User{ben}, nil, 2, now)
			p.ApplyDue(now.Add(Grace))
		}},
		{"too many", func() { p.Set(nil, 5000, now) }},
		{"a list", func() { p.Set([]User{asha}, 1, now) }},
	} {
		before := p.Version()
		if c.change(); p.Version() == before {
			t.Errorf("%s is no change", c.what)
		}
		if len(p.List("1")) != len(p.here) {
			t.Errorf("%s: %v, of %v", c.what, p.List("1"), p.here)
		}
	}
}

func BenchmarkListOf990(b *testing.B) {
	var p People
	var users []User
	for i := range 990 {
		users = append(users, User{ID: fmt.Sprint("~", i*7919%990), Name: fmt.Sprint("Person ", i)})
	}
	p.Set(users, 990, time.Now())
	for b.Loop() {
		p.SetPresent(users[5])
		p.List("~1")
	}
}

// People are sorted without regard to capitals, and to marks on letters, and each name is taken apart once.
func TestPeopleAreSortedByLetters(t *testing.T) {
	now := time.Now()
	asked := 0
	p := People{Plain: func(name string) string {
		asked++
		return strings.NewReplacer("É", "E", "ö", "o").Replace(name)
	}}
	var all []User
	for i, name := range []string{"rosa", "Élodie", "Zoe", "Ölaf", "emil", "Elsa", "Köln", "Kolya", "Юля"} {
		all = append(all, User{ID: fmt.Sprint(i), Name: name})
	}
	names := func() (names []string) {
		for _, u := range p.List("") {
			names = append(names, u.Name)
		}
		return names
	}
	p.Set(all, len(all), now)
	if got := fmt.Sprint(names()); got != "[Élodie Elsa emil Köln Kolya rosa Zoe Ölaf Юля]" { // the double knows no Ö
		t.Error(got)
	}
	p.Change([]User{{ID: "x", Name: "Ben"}}, nil, nil, len(all)+1, now)
	if got := names(); got[0] != "Ben" || asked != 4 {
		t.Errorf("%q, %d asked", got, asked)
	}
}
