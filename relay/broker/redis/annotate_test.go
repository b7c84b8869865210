package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

func annotation(target broker.Offset, kind broker.Kind, value, body string) broker.Annotation {
	return broker.Annotation{Room: "a", Target: target, User: "ann", ID: body, Kind: kind, Value: value, Body: body, About: `{"id":"ann"}`}
}

// While a relay that does not know annotations is in the fleet, they are refused, and it serves on. The first
// one states the format.
func TestAnnotateBesideOlderRelays(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := publish(t, b, "a", "1").Offset
	end := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
	s.do(t, "ZADD setu{0}:relays "+end, `older {"url":"http://older"}`)
	if done, err := b.Annotate(t.Context(), annotation(at, broker.Reaction, "+", "")); !errors.Is(err, broker.ErrUnavailable) || !strings.Contains(err.Error(), "older version") {
		t.Errorf("%+v, %v", done, err)
	}
	if got := s.do(t, "HGET setu{0}:head format") + s.do(t, "XLEN setu{0}:stream:a"); got != "11" {
		t.Error(got)
	}
	s.do(t, "ZREM setu{0}:relays", `older {"url":"http://older"}`)
	s.do(t, "ZADD setu{0}:relays "+end, `new {"url":"http://new","format":2}`)
	if done, err := b.Annotate(t.Context(), annotation(at, broker.Reaction, "+", "")); err != nil || done.Rev != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if got := s.do(t, "HGET setu{0}:head format"); got != "2" {
		t.Error(got)
	}
}

// What relays of all versions from now on find in Redis.
func TestAnnotationsAreStored(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := publish(t, b, "a", "1").Offset
	for _, n := range []broker.Annotation{annotation(at, broker.Reaction, "+ 1", ""), annotation(at, broker.Edit, "", "edited")} {
		if _, err := b.Annotate(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	id := fmt.Sprintf("%d-1", at.Pos)
	mark, edits := broker.Mark("ann"), broker.EditMark(annotation(at, broker.Edit, "", "edited"))
	for i, want := range []string{
		" %d-1 " + at.Digest + " r 0 1 1 " + mark + ` 3 12 + 1{"id":"ann"}`,
		" %d-1 " + at.Digest + " e 0 2 0 " + mark + ` 0 12 {"id":"ann"}`,
	} {
		entry := fmt.Sprintf("%d-1", at.Pos+uint64(i)+1)
		want = fmt.Sprintf(want, at.Pos)
		if got := s.do(t, "EVAL", "local e = redis.call('XRANGE', 'setu{0}:stream:a', ARGV[1], ARGV[1])[1][2]; return table.concat(e, '|')", "0", entry); !strings.HasPrefix(got, "m|~") || !strings.HasSuffix(got, want+"|n|"+[]string{"", id}[i]) {
			t.Errorf("%s: %q, want it to end with %q", entry, got, want)
		}
	}
	notes := s.do(t, "HGET setu{0}:notes:a "+id)
	if want := " 0 " + edits + "\n+ 1\t" + mark + "\n"; !strings.HasPrefix(notes, "2 ") || !strings.HasSuffix(notes, want) {
		t.Errorf("%q, want it to end with %q", notes, want)
	}
	if got := s.do(t, "HGET setu{0}:index:a tail"); !strings.HasPrefix(got, "1 ") || strings.Contains(got, at.Digest) {
		t.Error(got)
	}
}

// What was deleted is nowhere in Redis, nor are edits of it: neither in what is read nor in what is dumped.
func TestWhatWasDeletedIsGone(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	first := publish(t, b, "a", "of the first").Offset
	for i := range 1200 { // more than one XDEL takes
		if r := publish(t, b, "a", fmt.Sprint("between ", i)); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	page, _, err := b.History(t.Context(), "a", broker.Offset{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	last := page[0].Offset()
	if _, err := b.Annotate(t.Context(), annotation(first, broker.Delete, "", "gone")); !errors.Is(err, broker.ErrGap) {
		t.Error(err)
	}
	kept, _, _ := b.History(t.Context(), "a", broker.Offset{}, 50)
	oldest := kept[0].Offset()
	for _, target := range []broker.Offset{oldest, last} {
		for _, n := range []broker.Annotation{annotation(target, broker.Edit, "", "secret one"), annotation(target, broker.Edit, "", "secret two"), annotation(target, broker.Delete, "", "gone")} {
			if _, err := b.Annotate(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
	}
	texts := []string{"secret", kept[0].Body + " ", kept[len(kept)-1].Body + " "}
	for key := range strings.FieldsSeq(s.do(t, "KEYS *")) {
		dump := s.do(t, "DUMP "+key)
		for _, text := range texts {
			if strings.Contains(dump, text) {
				t.Errorf("%s holds %q", key, text)
			}
		}
	}
	again, more, err := b.History(t.Context(), "a", broker.Offset{}, 100)
	if err != nil || more {
		t.Error(more, err)
	}
	messages := 0
	for i, m := range again {
		if m.Note == nil {
			messages++
		}
		if i > 0 && !m.Follows(again[i-1].Offset()) {
			t.Errorf("%+v does not follow %+v", m, again[i-1])
		}
	}
	if messages != 50 {
		t.Errorf("%d messages are left", messages)
	}
}

// An index that was lost is made anew beside annotations, ids and all.
func TestAnnotateWithoutIndex(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, c := open(t, config(s)), &counter{}
	at := publish(t, b, "a", "1").Offset
	stop, err := b.Subscribe(t.Context(), "a", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for i, drop := range []string{"setu{0}:index:a", "setu{0}:index:a"} {
		s.do(t, "DEL "+drop)
		for j := range 2 {
			if _, err := b.Annotate(t.Context(), annotation(at, broker.Edit, "", fmt.Sprint("edit ", i, j))); err != nil {
				t.Fatal(err)
			}
		}
		if r := publish(t, b, "a", "1"); !r.Duplicate || r.Offset != at {
			t.Errorf("a repeat: %+v", r)
		}
		if r := publish(t, b, "a", fmt.Sprint("next ", i)); r.Offset.Seq != uint64(2+i) {
			t.Errorf("the next: %+v", r)
		}
	}
	eventually(t, "delivered", func() bool { return c.n.Load() == 6 })
	for i := range 60 {
		publish(t, b, "a", fmt.Sprint("later ", i))
	}
	if got := s.do(t, "XLEN setu{0}:stream:a"); got != "50" {
		t.Errorf("%s entries, where 50 messages are kept and nothing is annotated any more", got)
	}
	if _, err := b.Annotate(t.Context(), annotation(at, broker.Reaction, "+", "")); !errors.Is(err, broker.ErrGap) {
		t.Error(err)
	}
}

// A relay that is not in a room, and reads it from its cache, sees annotations of pages that none stands in.
func TestAnnotationsOfColdRooms(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, other := open(t, config(s)), open(t, config(s))
	var at []broker.Offset
	for i := range 20 {
		at = append(at, publish(t, other, "a", fmt.Sprint(i)).Offset)
	}
	read := func() []broker.Message {
		page, _, err := b.History(t.Context(), "a", at[2], 2)
		if err != nil || len(page) != 2 {
			t.Fatal(page, err)
		}
		return page
	}
	if page := read(); page[0].Notes != nil {
		t.Errorf("%+v", page[0].Notes)
	}
	for i, n := range []broker.Annotation{annotation(at[0], broker.Reaction, "+", ""), annotation(at[1], broker.Edit, "", "edited")} {
		if _, err := other.Annotate(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		eventually(t, "read anew", func() bool { return read()[i].Notes != nil })
		publish(t, other, "a", fmt.Sprint("beyond ", i))
		if page := read(); page[i].Notes == nil || page[i].Notes.Rev != 1 {
			t.Errorf("%+v", page)
		}
	}
	if page := read(); page[1].Body != "edited" || len(page[0].Notes.Reactions) != 1 {
		t.Errorf("%+v", page)
	}
}

// How messages that went stood does not stay.
func TestNotesGoWithTheirMessages(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	for i := range 300 {
		at := publish(t, b, "a", fmt.Sprint(i)).Offset
		if _, err := b.Annotate(t.Context(), annotation(at, broker.Reaction, "+", "")); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if _, err := fmt.Sscan(s.do(t, "HLEN setu{0}:notes:a"), &n); err != nil || n > 50+50/4+17 {
		t.Errorf("%d fields for 50 messages, %v", n, err)
	}
}

// How messages stand lives as long as they do: an annotation has it expire, and publishes keep it.
func TestNotesExpire(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := publish(t, b, "a", "1").Offset
	if _, err := b.Annotate(t.Context(), annotation(at, broker.Reaction, "+", "")); err != nil {
		t.Fatal(err)
	}
	left := func() (ms int) {
		t.Helper()
		if _, err := fmt.Sscan(s.do(t, "PTTL setu{0}:notes:a"), &ms); err != nil {
			t.Fatal(err)
		}
		return ms
	}
	var stream int
	if _, err := fmt.Sscan(s.do(t, "PTTL setu{0}:stream:a"), &stream); err != nil || left() < stream-1000 || stream <= 0 {
		t.Errorf("%d ms are left to the annotations, and %d to the stream, %v", left(), stream, err)
	}
	s.do(t, "PEXPIRE setu{0}:notes:a 60000")
	s.do(t, "HSET setu{0}:index:a renew 0")
	publish(t, b, "a", "2")
	if left() < stream-1000 {
		t.Errorf("%d ms are left after a publish", left())
	}
}
