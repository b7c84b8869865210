// Package judge records what every client of a run sent and received, and
// decides from that alone whether the relays kept their promise: one order, no
// loss, no duplicates, no silent gaps.
//
//	history := judge.Record(t, judge.Rules{Kept: 256})
//	... members write into it what they do and hear ...
//	verdict := history.Judge()
//
// The history of a failed test is kept as a file that a person can read.
package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/e2e/artifact"
)

// Kind says what happened.
type Kind string

// What can happen to a client.
const (
	Connected  Kind = "connected"
	Gone       Kind = "gone"       // its connection ended
	Resumed    Kind = "resumed"    // its session goes on, with the rooms that it had: what it missed comes as if it were live
	Joining    Kind = "joining"    // asked to join: Since
	Joined     Kind = "joined"     // was answered: Since, Recovered, Offset, Messages
	Left       Kind = "left"       // its leaving was answered
	Publishing Kind = "publishing" // asked to publish: Message without Seq and Offset
	Stored     Kind = "stored"     // was answered: Message with them, Duplicate
	Refused    Kind = "refused"    // was answered with an error
	Received   Kind = "received"   // Message
	Reset      Kind = "reset"      // Offset, Messages
	RolledBack Kind = "rolledback" // Redis, while no relay ran: some messages are gone, and nobody alive knows
	Told       Kind = "told"       // anything else, for whoever reads the file
)

// Message is one message as somebody saw it. User and ID name it for its
// publisher, Seq and Offset for everybody.
type Message struct {
	User, ID string
	Seq      uint64
	Offset   string
	Data     string
}

// Event is one line of a history.
type Event struct {
	At     time.Duration // since the history began
	Client string        // "" for what is done to the relays
	Kind   Kind
	Room   string

	Message   Message
	Messages  []Message
	Since     string // an offset
	Offset    string // of the room's newest message
	Recovered bool
	Duplicate bool

	Note string
}

// Rules are what a run promises.
type Rules struct {
	Kept int // messages that a room keeps for whoever comes back (HISTORY_LIMIT)

	// Lossy: Redis loses what it took while relays run, so that for a moment, in one epoch, a place may be
	// two messages', until all are told. What each client was told is judged, and nothing else: whether
	// something was lost without need is for whoever can look into Redis.
	Lossy bool

	// Expires: a room's history may expire whole while members are there, and begins again with 1.
	Expires bool

	// Annotated: offsets may be of annotations, which stand behind a message and have its Seq.
	Annotated bool
}

// History is a run's events in the order in which they happened: a request is
// recorded before it is sent, an answer when it has arrived.
type History struct {
	rules Rules
	began time.Time

	mu     sync.Mutex
	events []Event
}

// NewHistory makes an empty history.
func NewHistory(rules Rules) *History { return &History{rules: rules, began: time.Now()} }

// Record makes a history that is kept if the test fails.
func Record(t testing.TB, rules Rules) *History {
	t.Helper()
	h := NewHistory(rules)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		path, err := artifact.Write("history "+t.Name()+".txt", []byte(h.String()))
		if err != nil {
			t.Logf("the history could not be kept: %v", err)
			return
		}
		t.Logf("the history is in %s", path)
	})
	return h
}

// Add records one event, now.
func (h *History) Add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.At = time.Since(h.began)
	h.events = append(h.events, e)
}

// AddAt records what somebody else has seen, and when.
func (h *History) AddAt(at time.Time, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.At = at.Sub(h.began)
	h.events = append(h.events, e)
}

// Note records what is done to the relays, for whoever reads the file.
func (h *History) Note(format string, args ...any) {
	h.Add(Event{Kind: Told, Note: fmt.Sprintf(format, args...)})
}

// Events returns all events so far, in their order.
func (h *History) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := slices.Clone(h.events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return events
}

// Judge decides whether the promise was kept, now that all clients are quiet.
func (h *History) Judge() Verdict { return Judge(h.rules, h.Events()) }

// String is the history as text, a line for each event, and the verdict.
func (h *History) String() string {
	events := h.Events()
	var text strings.Builder
	for i, e := range events {
		fmt.Fprintf(&text, "%5d %9.3f  %s\n", i+1, e.At.Seconds(), e)
	}
	fmt.Fprintf(&text, "\n%s\n", Judge(h.rules, events))
	return text.String()
}

// String is the event as a line of the file.
func (e Event) String() string {
	words := []string{fmt.Sprintf("%-10s %-10s", e.Client, e.Kind)}
	add := func(ok bool, format string, args ...any) {
		if ok {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(e.Room != "", "%s", e.Room)
	add(e.Message != Message{}, "%s", e.Message)
	add(e.Since != "", "since %s", e.Since)
	add(e.Kind == Joined && e.Since != "", "recovered %t", e.Recovered)
	add(e.Duplicate, "duplicate")
	add(e.Offset != "", "at %s", e.Offset)
	if len(e.Messages) > 0 {
		add(true, "%d messages:", len(e.Messages))
		for _, m := range e.Messages {
			add(true, "%d=%s", m.Seq, m.ID)
		}
	}
	add(e.Note != "", "%s", e.Note)
	return strings.Join(words, " ")
}

// String names the message for a reader.
func (m Message) String() string {
	if m.Seq == 0 {
		return fmt.Sprintf("%s %s", m.ID, m.Data)
	}
	return fmt.Sprintf("%d %s by %s %s (%s)", m.Seq, m.ID, m.User, m.Data, m.Offset)
}
