package chat

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxMentions bounds how many people one message mentions.
const maxMentions = 20

func readMentions(data json.RawMessage) []Person {
	var list []Person
	if data == nil || json.Unmarshal(data, &list) != nil {
		return nil
	}
	return list[:min(len(list), maxMentions)]
}

// Names returns the names that a body mentions, as [Format] takes them.
func (b *Body) Names() []string {
	names := make([]string, len(b.Mentions))
	for i, m := range b.Mentions {
		names[i] = m.Name
	}
	return names
}

// Concerns reports whether a body speaks to somebody: it answers a message of theirs, or their name is seen
// in it after an @.
func (b *Body) Concerns(id string) bool {
	if id == "" {
		return false
	}
	if b.Reply != nil && b.Reply.From == id {
		return true
	}
	for _, m := range b.Mentions {
		if m.ID == id && mentionsName(b.Text, b.Names(), m.Name) {
			return true
		}
	}
	return false
}

// mentionsName reports whether a name of these stands in a text after an @, and not as a part of another one.
func mentionsName(text string, names []string, name string) bool {
	for _, s := range Format(text, names) {
		if s.Style&Mention != 0 && s.Text[1:] == name {
			return true
		}
	}
	return false
}

// MentionsIn returns which of these people a text mentions.
func MentionsIn(text string, people []User) []Person {
	var b Body
	for _, u := range people {
		if len(b.Mentions) < maxMentions && strings.Contains(text, "@"+u.Name) {
			b.Mentions = append(b.Mentions, Person{ID: u.ID, Name: u.Name})
		}
	}
	names, kept := b.Names(), b.Mentions[:0]
	for _, p := range b.Mentions {
		if mentionsName(text, names, p.Name) {
			kept = append(kept, p)
		}
	}
	return kept
}

// Mentioning returns the part of a name that stands after an @ at the end of what is before the caret. ok
// is false if there is none.
func Mentioning(before string) (part string, ok bool) {
	at := strings.LastIndexByte(before, '@')
	if at < 0 || len(before)-at > 4*MaxName {
		return "", false
	}
	part = before[at+1:]
	if last, _ := utf8.DecodeLastRuneInString(before[:at]); at > 0 && isWord(last) {
		return "", false
	}
	return part, !strings.ContainsAny(part, "\n\t") && !strings.HasPrefix(part, " ") && strings.Count(part, " ") <= 3
}

// Matching returns up to n of these people whose name begins with a part, or has a word that does, in the
// order in which they are given, those with the name first.
func Matching(people []User, part string, n int) []User {
	part = strings.ToLower(part)
	var first, others []User
	for _, u := range people {
		switch name := strings.ToLower(u.Name); {
		case strings.HasPrefix(name, part):
			first = append(first, u)
		case strings.Contains(name, " "+part):
			others = append(others, u)
		}
	}
	list := append(first, others...)
	return list[:min(len(list), n)]
}

// Known returns the people of the room whom one may mention, without this user: who is here, by name, and
// who has written what is loaded, the last first.
func (r *Room) Known() []User {
	self := r.Timeline.Self
	var out []User
	seen := map[string]bool{self: true, "": true}
	add := func(u User) {
		if !seen[u.ID] {
			seen[u.ID] = true
			out = append(out, u)
		}
	}
	for _, u := range r.People.List(self) {
		add(u)
	}
	entries := r.Timeline.entries
	for i := len(entries) - 1; i >= 0; i-- {
		add(entries[i].From)
	}
	return out
}
