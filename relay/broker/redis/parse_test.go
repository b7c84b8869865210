package redis_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/broker/redis"
)

func FuzzPush(f *testing.F) {
	f.Add("e 1 1 1700000000000  0123456789ab ")
	f.Add(`e 7 3 1700000000000 ba9876543210 0123456789ab {"a": "b c"}`)
	f.Add("")
	f.Add("e 1 0 1 x y z")
	f.Add(`e 8 3 ~1700000000000 0123456789ab 1123456789ab 7-3 0123456789ab r 1 2 0 Mu7IEnGmWx_z 4 12 👍{"id":"ann"}`)
	f.Add(`e 8 3 ~1700000000000 0123456789ab 1123456789ab 7-3 0123456789ab e 0 1 0 Mu7IEnGmWx_z 0 12 {"id":"ann"}"data":"new"`)
	f.Add("e 7 3 +36 2 0 0 \nx\tMu7IEnGmWx_zMu7IEnGmWx_z\n1700000000000 ba9876543210 0123456789ab body")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := redis.ParsePush("room", text)
		if err != nil {
			return
		}
		again := fmt.Sprintf("%s %d %d %s%d %s %s %s", m.Epoch, m.Pos, m.Seq, markOf(m), m.At, m.Prev, m.Digest, m.Body)
		if m.Note != nil {
			again += noteText(m.Note)
		}
		if n, err := redis.ParsePush("room", again); err != nil || !reflect.DeepEqual(n, m) {
			t.Errorf("%q reads as %+v, whose text reads as %+v, %v", text, m, n, err)
		}
	})
}

// markOf is what the text of an annotation, or of a message that has some, begins with.
func markOf(m broker.Message) string {
	switch {
	case m.Note != nil:
		return "~"
	case m.Notes != nil:
		text := m.Notes.Append(nil)
		return fmt.Sprintf("+%d %s", len(text), text)
	}
	return ""
}

// noteText is an annotation as annotate.lua stores it.
func noteText(n *broker.Note) string {
	remove := "0"
	if n.Remove {
		remove = "1"
	}
	return fmt.Sprintf("%d-%d %s %s %s %d %d %s %d %d %s%s%s", n.Target.Pos, n.Target.Seq, n.Target.Digest, string([]byte{byte(n.Kind)}),
		remove, n.Rev, n.Count, n.Mark, len(n.Value), len(n.About), n.Value, n.About, n.Body)
}

func FuzzEntry(f *testing.F) {
	f.Add("7-3", `1700000000000 ba9876543210 0123456789ab {"a": "b c"}`)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, id, text string) {
		if m, err := redis.ParseEntry("room", "e", id, text); err == nil && (m.Seq == 0 || m.Room != "room" || m.Epoch != "e") {
			t.Errorf("%q, %q reads as %+v", id, text, m)
		}
	})
}

func FuzzSession(f *testing.F) {
	f.Add(`{"id":"sid","user":{"id":"ann","name":"Ann","guest":true},"keyed":true}`, "7", "x\x00y", "a", "- e.0.0.0", "b", "p e.7.3.0123456789ab")
	f.Add(`{}`, "1", "", "a b", "zpz e.0.0.0", "b", "- e.0.0.zz")
	f.Add("", "", "", "", "", "", "")
	f.Add("null", "1", "\x00", "a", "- ", "a", "p  e.1.1.1")
	f.Fuzz(func(t *testing.T, who, version, left, room1, text1, room2, text2 string) {
		rooms := text1 + " " + room1 + "\x00" + text2 + " " + room2 + "\x00"
		fields := []string{"owner", "x.1", "who", who, "v", version, "left", left, "rooms", rooms, "odd"}
		s, again, err := redis.ParseSession(fields)
		if err != nil {
			return
		}
		fields = append([]string{"v", "1", "another", "x"}, again...)
		if same, _, err := redis.ParseSession(fields); err != nil || !reflect.DeepEqual(same, s) {
			t.Errorf("%q reads as %+v, which reads as %+v, %v", fields, s, same, err)
		}
	})
}

func FuzzPeer(f *testing.F) {
	f.Add("n", `{"url":"http://10.0.0.1:8080","machine":"m"}`)
	f.Add("", "null")
	f.Fuzz(func(t *testing.T, node, text string) {
		p, err := redis.ParsePeer(node, text)
		if err == nil && p.Node != node || err != nil && !errors.Is(err, broker.ErrGone) {
			t.Errorf("%q reads as %+v, %v", text, p, err)
		}
	})
}

func TestJudge(t *testing.T) {
	const ttl = time.Minute
	const at = 1_000_000 // when the tail's message was stored
	soon, late := int64(at+30_000), int64(at+90_000)
	// history is messages from..to at positions ten times their sequence, the n-th with digest
	// d<n>.
	history := func(from, to uint64) (out []broker.Message) {
		for n := from; n <= to; n++ {
			m := broker.Message{Pos: 10 * n, Seq: n, At: at + int64(n), Digest: fmt.Sprint("d", n)}
			if n > 1 {
				m.Prev = fmt.Sprint("d", n-1)
			}
			out = append(out, m)
		}
		return out
	}
	begun := func(pos uint64, at int64) []broker.Message {
		return []broker.Message{{Pos: pos, Seq: 1, At: at, Digest: "x1"}, {Pos: pos + 1, Seq: 2, At: at, Prev: "x1", Digest: "x2"}}
	}
	other := history(5, 7)
	other[0].Digest, other[1].Prev = "x5", "x5"
	five := history(5, 5)[0].Offset()
	empty := broker.Offset{Pos: 50}

	for name, c := range map[string]struct {
		tail   broker.Offset
		stream []broker.Message
		now    int64
		away   time.Duration
		want   []broker.Message
		reason string
	}{
		"nothing new":                               {five, history(1, 5), soon, 0, nil, ""},
		"missed two":                                {five, history(1, 7), soon, 0, history(6, 7), ""},
		"the same after a long time":                {five, history(1, 7), late, time.Hour, history(6, 7), ""},
		"ours is the last let go of":                {five, history(6, 9), soon, 0, history(6, 9), ""},
		"more let go of":                            {five, history(7, 9), soon, 0, nil, broker.ReasonTrimmed},
		"another in its place":                      {five, other, soon, 0, nil, broker.ReasonEpoch},
		"older ones only":                           {five, history(1, 3), soon, 0, nil, broker.ReasonEpoch},
		"older ones and newer, not ours":            {five, append(history(1, 3), begun(51, soon)[1:]...), soon, 0, nil, broker.ReasonEpoch},
		"empty too early":                           {five, nil, soon, 0, nil, broker.ReasonEpoch},
		"empty, expired":                            {five, nil, late, 0, nil, ""},
		"empty, away for longer than it lives":      {five, nil, late, ttl, nil, broker.ReasonExpired},
		"begun anew":                                {five, begun(80, late), late, 0, begun(80, late), ""},
		"begun anew too early":                      {five, begun(80, soon), late, 0, nil, broker.ReasonEpoch},
		"begun anew, at an earlier position":        {five, begun(40, soon), soon, 0, nil, broker.ReasonEpoch},
		"begun anew, away for longer than it lives": {five, begun(80, late), late, ttl, nil, broker.ReasonExpired},
		"was empty, is":                             {empty, nil, soon, 0, nil, ""},
		"was empty, is, unseen for long":            {empty, nil, late, ttl, nil, broker.ReasonExpired},
		"was empty, began":                          {empty, begun(60, soon), soon, 0, begun(60, soon), ""},
		"was empty, began, unseen for long":         {empty, begun(60, late), late, ttl, nil, broker.ReasonExpired},
		"was empty, something older is there":       {empty, begun(40, soon), soon, 0, nil, broker.ReasonEpoch},
		"was empty, more came than is kept":         {empty, history(7, 9), soon, 0, nil, broker.ReasonTrimmed},
	} {
		var oldest broker.Offset
		var found []broker.Message
		if len(c.stream) > 0 {
			oldest = broker.Offset{Pos: c.stream[0].Pos, Seq: c.stream[0].Seq}
		}
		for _, m := range c.stream { // as missed.lua reads it: from the tail's message on
			if c.tail.Seq == 0 || m.Pos >= c.tail.Pos {
				found = append(found, m)
			}
		}
		got, reason := redis.Judge(t, c.tail, at, oldest, found, c.now, c.away, ttl)
		if reason != c.reason || !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, %q; want %+v, %q", name, got, reason, c.want, c.reason)
		}
	}
}
