package room

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

// story returns a room's history as a store would make it: message i has sequence i and position
// 10*i.
func story(epoch string, from, to uint64) (out []broker.Message) {
	for i := from; i <= to; i++ {
		m := broker.Message{Room: "r", Epoch: epoch, Pos: 10 * i, Seq: i, At: int64(i), Digest: epoch + strconv.FormatUint(i, 10), Body: `"data":1`}
		if i > 1 {
			m.Prev = epoch + strconv.FormatUint(i-1, 10)
		}
		out = append(out, m)
	}
	return out
}

// loaded returns a ring over messages; more says that older ones are stored.
func loaded(messages []broker.Message, more bool, now time.Time) *ring {
	r := &ring{count: 100, bytes: 1 << 20, ttl: time.Hour}
	for i := range messages {
		messages[i].At = now.UnixMilli()
	}
	r.load(broker.Snapshot{Tail: messages[len(messages)-1].Offset(), Messages: messages, More: more}, newEncoder("").encodeAll(`"r"`, messages), now)
	return r
}

func sequences(entries []entry) (out []uint64) {
	for _, e := range entries {
		out = append(out, e.Seq)
	}
	return out
}

func TestRingSince(t *testing.T) {
	now := time.Now()
	offset := func(i uint64) broker.Offset { return story("e", i, i)[0].Offset() }
	moment := func(pos uint64, age time.Duration) broker.Offset {
		return broker.Offset{Epoch: "e", Pos: pos, At: now.Add(-age).UnixMilli()}
	}
	foreign := func(i uint64) broker.Offset { o := offset(i); o.Digest = "x"; return o }
	whole, part := loaded(story("e", 1, 20), false, now), loaded(story("e", 11, 20), true, now)
	trimmed := loaded(story("e", 11, 20), false, now) // by count: the store has no more
	tests := []struct {
		name    string
		ring    *ring
		o       broker.Offset
		want    []uint64
		verdict verdict
	}{
		{"the newest", part, offset(20), nil, covered},
		{"in the middle", part, offset(15), upTo(16, 20), covered},
		{"the oldest", part, offset(11), upTo(12, 20), covered},
		{"the predecessor of the oldest", part, offset(10), upTo(11, 20), covered},
		{"before that", part, offset(9), nil, older},
		{"before that, and no more is stored", whole, broker.Offset{Epoch: "e", Pos: 5, Seq: 1, Digest: "e1"}, nil, lost},
		{"another digest in the middle", part, foreign(15), nil, lost},
		{"another digest at the end", part, foreign(20), nil, lost},
		{"another predecessor", part, foreign(10), nil, older},
		{"a position between messages", part, broker.Offset{Epoch: "e", Pos: 155, Seq: 15, Digest: "e15"}, upTo(16, 20), covered},
		{"the same place, another sequence", part, broker.Offset{Epoch: "e", Pos: 150, Seq: 14, Digest: "e15"}, nil, lost},
		{"another epoch", part, broker.Offset{Epoch: "f", Pos: 150, Seq: 15, Digest: "e15"}, nil, ahead},
		{"not here yet", part, offset(21), nil, ahead},
		{"a moment after all", part, moment(500, 0), nil, covered},
		{"a moment between", part, moment(155, 0), upTo(16, 20), covered},
		{"a moment at the base", part, moment(109, 0), upTo(11, 20), covered},
		{"a moment before the ring", part, moment(50, 0), nil, older},
		{"a moment before all", whole, moment(5, time.Minute), upTo(1, 20), covered},
		{"a moment before all, long ago", whole, moment(5, time.Hour), nil, lost},
		{"a moment before all that is left", trimmed, moment(50, time.Minute), nil, lost},
		{"a moment at what was trimmed last", trimmed, moment(109, time.Hour), upTo(11, 20), covered},
		{"a bare moment after all", whole, moment(500, 0), nil, lost},
		{"a bare moment between", whole, moment(155, 0), nil, lost},
		{"a bare moment before the ring", part, moment(50, 0), nil, older},
		{"a bare moment at the base", part, moment(109, 0), nil, older},
		{"a bare moment before all", whole, moment(5, time.Minute), upTo(1, 20), covered},
		{"a bare moment before all, long ago", whole, moment(5, time.Hour), nil, lost},
		{"a bare moment at what was trimmed last", trimmed, moment(109, 0), nil, lost},
	}
	for _, tt := range tests {
		vouched := !strings.Contains(tt.name, "bare")
		got, v := tt.ring.since(tt.o, vouched, now)
		if v != tt.verdict || !slices.Equal(sequences(got), tt.want) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, v, sequences(got), tt.verdict, tt.want)
		}
	}
}

func TestRingPage(t *testing.T) {
	now := time.Now()
	whole, part := loaded(story("e", 1, 20), false, now), loaded(story("e", 11, 20), true, now)
	at := func(i uint64) broker.Offset { return story("e", i, i)[0].Offset() }
	elsewhere := func(pos uint64) broker.Offset { return broker.Offset{Epoch: "e", Pos: pos, Seq: 14, Digest: "x"} }
	tests := []struct {
		name    string
		ring    *ring
		before  broker.Offset
		n       int
		want    []uint64
		more    bool
		verdict verdict
	}{
		{"the newest", part, broker.Offset{}, 3, upTo(18, 20), true, covered},
		{"all that is here", part, broker.Offset{}, 10, upTo(11, 20), true, covered},
		{"more than is here", part, broker.Offset{}, 11, nil, false, older},
		{"more than there is", whole, broker.Offset{}, 100, upTo(1, 20), false, covered},
		{"before one", part, at(15), 3, upTo(12, 14), true, covered},
		{"before one, reaching out", part, at(12), 3, nil, false, older},
		{"before the oldest", part, at(11), 3, nil, false, older},
		{"before the first", whole, at(1), 3, nil, false, covered},
		{"of another epoch", whole, broker.Offset{Epoch: "f", Pos: 100, Seq: 10}, 3, nil, false, older},
		{"of another room, before", part, elsewhere(at(11).Pos - 1), 3, nil, false, older},
		{"of another room, amid", part, elsewhere(at(11).Pos + 1), 3, nil, false, lost},
		{"of another history", part, elsewhere(at(15).Pos), 3, nil, false, lost},
		{"not here yet", part, at(21), 3, nil, false, older},
		{"a moment amid", part, broker.Offset{Epoch: "e", Pos: at(15).Pos + 1}, 3, upTo(13, 15), true, covered},
	}
	for _, tt := range tests {
		got, more, v := tt.ring.page(tt.before, tt.n)
		if v != tt.verdict || more != tt.more || !slices.Equal(sequences(got), tt.want) {
			t.Errorf("%s: %v, more %v, verdict %v", tt.name, sequences(got), more, v)
		}
	}
}

func TestRingBounds(t *testing.T) {
	now := time.Now()
	add := func(r *ring, from, to uint64, size int) {
		for _, m := range story("e", from, to) {
			r.append(entry{m.Offset(), stored{object: make([]byte, size)}}, now)
		}
	}
	r := &ring{count: 5, bytes: 1000, ttl: time.Hour, whole: true}
	add(r, 1, 5, 10)
	if !r.whole || len(r.entries) != 5 {
		t.Error("five fit")
	}
	add(r, 6, 8, 10)
	if got := sequences(r.entries); !slices.Equal(got, upTo(4, 8)) || r.whole || r.base.Seq != 3 || r.size != 50 {
		t.Errorf("by count: %v, size %d", got, r.size)
	}
	add(r, 9, 11, 400)
	if got := sequences(r.entries); !slices.Equal(got, upTo(10, 11)) || r.size != 800 || r.base.Seq != 9 {
		t.Errorf("by bytes: %v, size %d", got, r.size)
	}
	add(r, 12, 12, 5000)
	if got := sequences(r.entries); !slices.Equal(got, upTo(12, 12)) || r.size != 5000 {
		t.Errorf("the newest stays whatever its size: %v, size %d", got, r.size)
	}
}

func TestRingExpires(t *testing.T) {
	now := time.Now()
	r := loaded(story("e", 1, 5), false, now)
	r.expire(now.Add(time.Hour - time.Second))
	if len(r.entries) != 5 {
		t.Error("too early")
	}
	r.expire(now.Add(time.Hour))
	if len(r.entries) != 0 || r.size != 0 || r.tail.Seq != 5 {
		t.Error("the tail alone stays")
	}
	five := story("e", 5, 5)[0].Offset()
	if got, v := r.since(five, false, now); v != covered || len(got) != 0 {
		t.Error("whoever had all has all: ", v)
	}
	if _, v := r.since(story("e", 4, 4)[0].Offset(), false, now); v != lost {
		t.Error("what was missed has expired: ", v)
	}
	// The history begins again.
	m := broker.Message{Epoch: "e", Pos: 99, Seq: 1, Digest: "n1"}
	r.append(entry{m.Offset(), stored{object: []byte("{}")}}, now)
	if got, v := r.since(five, false, now); v != covered || !slices.Equal(sequences(got), []uint64{1}) {
		t.Errorf("from the old tail: %v %v", v, sequences(got))
	}
	// It may also begin again before this relay noticed.
	r = loaded(story("e", 1, 5), false, now)
	r.append(entry{m.Offset(), stored{object: []byte("{}")}}, now)
	if got, v := r.since(five, false, now); v != covered || !slices.Equal(sequences(got), []uint64{1}) || len(r.entries) != 1 {
		t.Errorf("from the old tail: %v %v", v, sequences(got))
	}
}

// A snapshot's age counts towards its expiry.
func TestRingLoadsAge(t *testing.T) {
	now := time.Now()
	messages := story("e", 1, 3)
	messages[2].At = now.Add(-2 * time.Hour).UnixMilli() // the store's clock is behind ours
	r := &ring{count: 100, bytes: 1 << 20, ttl: time.Hour}
	r.load(broker.Snapshot{Tail: messages[2].Offset(), Messages: messages, Age: 50 * time.Minute}, newEncoder("").encodeAll(`"r"`, messages), now)
	if r.expire(now.Add(9 * time.Minute)); len(r.entries) != 3 {
		t.Error("too early")
	}
	if r.expire(now.Add(11 * time.Minute)); len(r.entries) != 0 {
		t.Error("too late")
	}
	empty := &ring{count: 100, bytes: 1 << 20, ttl: time.Hour}
	tail := broker.Offset{Epoch: "e", Pos: 70, At: now.UnixMilli()}
	empty.load(broker.Snapshot{Tail: tail}, nil, now)
	if got, v := empty.since(tail, false, now); v != covered || len(got) != 0 || empty.tail != tail {
		t.Error("an empty room: ", v, fmt.Sprint(got))
	}
}
