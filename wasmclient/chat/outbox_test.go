package chat

import (
	"slices"
	"testing"
)

// sendAll takes out of the box what may be sent now.
func sendAll(o *Outbox, gone ...string) (ids []string) {
	for {
		id, ok := o.Next(func(id string) bool { return !slices.Contains(gone, id) })
		if !ok {
			return ids
		}
		ids = append(ids, id)
	}
}

func wantIDs(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestOutboxDoesNotWait(t *testing.T) {
	var o Outbox
	for _, id := range []string{"a", "b", "c"} {
		o.Add(id)
	}
	wantIDs(t, "at once", sendAll(&o), "a", "b", "c")
	o.Add("d")
	wantIDs(t, "one more", sendAll(&o), "d")
	o.Answered("b") // refused, perhaps
	wantIDs(t, "after an answer", sendAll(&o))
	o.Add("e")
	o.Add("f")
	wantIDs(t, "without what was discarded", sendAll(&o, "e"), "f")
}

// What comes back keeps its place, however late the others come.
func TestOutboxKeepsOrder(t *testing.T) {
	var o Outbox
	for _, id := range []string{"a", "b", "c", "d"} {
		o.Add(id)
	}
	sendAll(&o)
	o.Answered("a")
	o.Returned("b")
	wantIDs(t, "while c and d are under way", sendAll(&o))
	if !o.Held() {
		t.Error("not held")
	}
	o.Answered("c") // stored after all
	o.Add("e")
	wantIDs(t, "while d is under way", sendAll(&o))
	o.Returned("d")
	if o.Held() {
		t.Error("still held")
	}
	wantIDs(t, "when all have come back", sendAll(&o), "b", "d", "e")
}

func TestOutboxOfAnotherConnection(t *testing.T) {
	var o Outbox
	for _, id := range []string{"a", "b", "c"} {
		o.Add(id)
	}
	sendAll(&o)
	o.Returned("a")
	o.Restart()
	wantIDs(t, "anew", sendAll(&o), "a", "b", "c")
	o.Answered("a") // late, by the former one: the same message
	wantIDs(t, "after a late answer", sendAll(&o))
}

func TestOutboxIsBounded(t *testing.T) {
	var o Outbox
	for range 2 * maxUnderWay {
		o.Add(string(rune('0' + len(o.queued))))
	}
	first := sendAll(&o)
	if len(first) != maxUnderWay {
		t.Errorf("%d under way", len(first))
	}
	o.Answered(first[0])
	if n := len(sendAll(&o)); n != 1 {
		t.Errorf("%d more after one answer", n)
	}
}
