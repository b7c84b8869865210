package chat

import (
	"sort"
	"time"
)

const (
	// TypingInterval is the shortest time between two signals that this user is typing.
	TypingInterval = time.Second
	// typingTimeout is how long another user counts as typing after their last signal.
	typingTimeout = 5 * time.Second
)

// Typing is who is typing in a room.
type Typing struct {
	people map[string]typist
}

type typist struct {
	name  string
	since time.Time
	until time.Time
}

// Started records a signal that a user is typing.
func (t *Typing) Started(u User, now time.Time) {
	if t.people == nil {
		t.people = make(map[string]typist)
	}
	old, known := t.people[u.ID]
	since := now
	if known && old.until.After(now) {
		since = old.since
	}
	t.people[u.ID] = typist{name: u.Name, since: since, until: now.Add(typingTimeout)}
}

// Stopped removes a user, whose message came or who left.
func (t *Typing) Stopped(id string) { delete(t.people, id) }

// Expire removes the users whose last signal is too old. It returns when to call it again; zero
// means that nobody is typing.
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

// Sentence returns the sentence that says who is typing, in the order in which they began; nil if
// nobody is.
func (t *Typing) Sentence() []SentencePart {
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
	sentence := sentenceParts(names)
	switch len(names) {
	case 0:
		return nil
	case 1:
		return append(sentence, SentencePart{Text: " is typing"})
	}
	return append(sentence, SentencePart{Text: " are typing"})
}
