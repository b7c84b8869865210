//go:build js && wasm

package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// plainName returns a name without the marks on its letters.
func plainName(name string) string { return window.Call("setuPlain", name).String() }

// drawPeople updates the list of people, and this user's own entry.
func (a *app) drawPeople(now time.Time) {
	v := a.view
	a.drawSelf()
	r := a.rooms.Current
	unknown := a.pill.PeopleNote(now)
	if a.client == nil {
		unknown = "Not connected yet."
	}
	if r == nil || !r.Entered {
		v.peopleOn.show(r != nil && r.StoredAt > 0)
		v.peopleCount.write("–")
		v.peopleTitle.write("Here now")
		v.peopleNote.write(unknown)
		a.replacePeople(nil)
		return
	}
	_, next := r.People.ApplyDue(now)
	a.redrawAt(next)
	a.checkPeople(r, now)
	number := r.People.Number()
	v.peopleOn.show(true)
	v.peopleCount.write(strconv.Itoa(number))
	v.peopleTitle.write("Here now · " + strconv.Itoa(number))
	list := r.People.List(a.self.ID)
	list = list[:min(len(list), maxPeople)]
	note := r.People.Note(a.self.ID, len(list))
	switch {
	case r.Denied.Members:
		note = "You may not see who is here."
	case unknown != "":
		note = unknown
		v.peopleCount.write("–")
		v.peopleTitle.write("Last seen here")
	}
	v.peopleNote.write(note)
	a.replacePeople(list)
}

// checkSpread bounds the random wait that keeps the pages of a room from asking at the same moment.
const checkSpread = 3 * time.Second

// checkPeople asks the relay who is in a room if what is known contradicts itself.
func (a *app) checkPeople(r *chat.Room, now time.Time) {
	if r.Denied.Members || a.pill.Status != chat.Connected {
		return
	}
	ask, next := r.People.Check(now, time.Duration(rand.Int64N(int64(checkSpread))))
	a.redrawAt(next)
	if !ask {
		return
	}
	c := a.client
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		answer, err := c.Members(ctx, r.Name)
		a.withLock(func() {
			if err == nil && c == a.client {
				r.People.Set(listOf(answer.Members, answer.Count), answer.Count, time.Now())
				a.invalidate(partPeople)
			}
		})
	})
}

// maxPeople bounds the rows of the list of people.
const maxPeople = 200

func (a *app) replacePeople(list []chat.User) {
	v := a.view
	rows := make([]string, len(list))
	for i, u := range list {
		rows[i] = u.ID + " " + u.PlaceTitle()
	}
	if slices.Equal(rows, v.peopleRows) {
		return
	}
	v.peopleRows = rows
	fragment := document.Call("createDocumentFragment")
	for _, u := range list {
		el := clone(v.person)
		setAttr(el, "data-user", u.ID)
		setMonogram(el.Get("firstElementChild"), u)
		setText(find(el, "bdi"), u.Name)
		setText(find(el, ".person-note"), a.personNote(u))
		writePlace(el, u)
		fragment.Call("append", el)
	}
	v.people.Call("replaceChildren", fragment)
}

// personNote returns the note beside a name. It distinguishes verified users from guests, who may
// take any name.
func (a *app) personNote(u chat.User) string {
	switch {
	case u.ID == a.self.ID:
		return "you"
	case u.Guest:
		return "guest"
	}
	return "verified"
}

func setMonogram(el js.Value, u chat.User) {
	el.Set("className", "mono h"+strconv.Itoa(chat.Hue(u.ID)))
	setText(el, chat.Monogram(u.Name))
}

func (a *app) drawSelf() {
	v := a.view
	v.meName.write(cmp.Or(a.self.Name, cmp.Or(a.name, "You")))
	me := a.self
	if me.ID == "" && a.signIn.token == "" { // as the last time, most likely
		me.ID, me.Guest = a.former, true
	}
	note := ""
	if me.ID != "" {
		note = "Guest"
		if !me.Guest {
			note = "Verified"
		}
	}
	v.meNote.write(note)
	if key := me.ID + " " + me.Name; key != v.meKey {
		v.meKey = key
		setMonogram(v.meMono, chat.User{ID: me.ID, Name: cmp.Or(me.Name, cmp.Or(a.name, "?"))})
	}
}

// people returns, for what is written before the caret, the part of a name that it ends with after an @, and
// whom that may mean: their names, notes, monograms and hues. It is null if it calls for nobody.
func (a *app) people(before string) any {
	a.mu.Lock()
	defer a.mu.Unlock()
	part, ok := chat.Mentioning(before)
	if r := a.rooms.Current; ok && r != nil {
		out := []any{part}
		for _, u := range chat.Matching(r.Known(), part, maxChoices) {
			out = append(out, []any{u.Name, a.personNote(u), chat.Monogram(u.Name), chat.Hue(u.ID)})
		}
		if len(out) > 1 {
			return out
		}
	}
	return nil
}

// maxChoices is how many people are offered.
const maxChoices = 6
