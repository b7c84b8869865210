package chat

import (
	"sort"
	"time"
)

const (
	// TypingEvery is how often one's own typing is told, at most.
	TypingEvery = time.Second
	// typingLasts is how long another's typing is believed without news.
	typingLasts = 5 * time.Second
)

// Typing is who writes in a room just now.
type Typing struct {
	people map[string]typist
}

type typist struct {
	name  string
	since time.Time
	until time.Time
}

// Heard notes that somebody types.
func (t *Typing) Heard(u User, now time.Time) {
	if t.people == nil {
		t.people = make(map[string]typist)
	}
	old, known := t.people[u.ID]
	since := now
	if known && old.until.After(now) {
		since = old.since
	}
	t.people[u.ID] = typist{name: u.Name, since: since, until: now.Add(typingLasts)}
}

// Stopped forgets somebody: his message came, or he left.
func (t *Typing) Stopped(id string) { delete(t.people, id) }

// Expire forgets who has gone silent. It returns when to look again, or the zero
// time where nobody types.
func (t *Typing) Expire(now time.Time) (next time.Time) {
	for id, p := range t.people {
		if !p.until.After(now) {
			delete(t.people, id)
		} else if next.IsZero() || p.until.Before(next) {
			next = p.until
		}
	}
	return next
}

// Sentence says who types, whoever began first at the front.
func (t *Typing) Sentence() []Listed {
	people := make([]typist, 0, len(t.people))
	for _, p := range t.people {
		people = append(people, p)
	}
	sort.Slice(people, func(i, j int) bool {
		if !people[i].since.Equal(people[j].since) {
			return people[i].since.Before(people[j].since)
		}
		return people[i].name < people[j].name
	})
	names := make([]string, len(people))
	for i, p := range people {
		names[i] = p.name
	}
	sentence := list(names)
	switch len(names) {
	case 0:
		return nil
	case 1:
		return append(sentence, Listed{Text: " is typing"})
	}
	return append(sentence, Listed{Text: " are typing"})
}
