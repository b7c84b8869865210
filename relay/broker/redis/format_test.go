package redis_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

// A later version of the relay adds to what is stored and pushed, and this one works beside it.
func TestFormatAdded(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b, c := open(t, config(s)), &counter{}
	stop, err := b.Subscribe(t.Context(), "a", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	at := b.Head()
	s.do(t, "HSET setu{0}:head later x")
	later := laterScript(t, "lua/publish.lua", map[string]string{
		"'i', ARGV[3]) end\nif":                "'i', ARGV[3], 'later', 'x') end\nif",
		"id, 'm', rest, 'i', ARGV[3]) end\n\n": "id, 'm', rest, 'i', ARGV[3], 'later', 'x') end\n\n",
		"ARGV[3], receipt)":                    "ARGV[3], receipt, 'later', 'x')",
		"return '+ '":                          "redis.call('PUBLISH', ARGV[2], 'zlater') return '+ '",
	})
	publishLater := func(id string) { publishBy(t, s, later, at.Epoch, id) }
	publishLater("1")
	if r := publish(t, b, "a", "2"); r.Offset.Seq != 2 {
		t.Errorf("after a later version's: %+v", r)
	}
	publishLater("3")
	if r := publish(t, b, "a", "3"); !r.Duplicate || r.Offset.Seq != 3 {
		t.Errorf("what a later version has published: %+v", r)
	}
	eventually(t, "delivered", func() bool { return c.n.Load() == 3 })
	page, _, err := open(t, config(s)).History(t.Context(), "a", broker.Offset{}, 10)
	if err != nil || len(page) != 3 || page[2].Body != "body of 3" || page[2].Prev != page[1].Digest {
		t.Errorf("history: %+v, %v", page, err)
	}

	user := `{"id":"ben","name":"Ben","guest":true,"later":{}}`
	s.do(t, "HSET setu{0}:members:a ben", ",life,|"+user)
	s.do(t, "PUBLISH setu{0}:room:a", "j1 "+user)
	if users, n, err := b.Members(t.Context(), "a", 10); n != 1 || err != nil || users[0] != user {
		t.Errorf("members: %q, %d, %v", users, n, err)
	}
	eventually(t, "told of ben", func() bool { return c.changes.Load() == 1 })
	s.do(t, "SET setu{0}:peer:n", `{"url":"http://n","later":{}}`)
	if p, err := b.Peer(t.Context(), "n"); p.URL != "http://n" || err != nil {
		t.Errorf("peer: %+v, %v", p, err)
	}
	private := s.do(t, "PUBSUB CHANNELS *:relay:*")
	for channel := range strings.FieldsSeq(private) {
		s.do(t, "PUBLISH", channel, "zlater")
	}
	waitReady(t, b)
}

// publishBy publishes to room a as another version of the relay does, with its script.
func publishBy(t *testing.T, s *server, script, epoch, id string) {
	t.Helper()
	s.do(t, "EVAL", script, "4", "setu{0}:head", "setu{0}:stream:a", "setu{0}:index:a", "setu{0}:older:a",
		epoch, "setu{0}:room:a", redis.IDDigest(broker.Publication{User: "ann", ID: id}), "body of "+id, "50", "3600000", "300000", "ann\x00"+id, "4096", "0")
}

// A relay from before digests were shortened publishes to the same rooms during a deploy: one history,
// of which every offset can be gone on from, on either.
func TestFormatLongerDigests(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	s.do(t, "HSET setu{0}:head epoch abcdefghij pos 7 format 1")
	b, c := open(t, config(s)), &counter{}
	stop, err := b.Subscribe(t.Context(), "a", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	former := laterScript(t, "lua/publish.lua", map[string]string{"1, 10)": "1, 12)"})
	for _, id := range []string{"1", "3", "5"} {
		publishBy(t, s, former, "abcdefghij", id)
		if r := publish(t, b, "a", id); !r.Duplicate || len(r.Offset.Digest) != 12 {
			t.Errorf("repeated here: %+v", r)
		}
		if r := publish(t, b, "a", id+"+"); r.Duplicate || len(r.Offset.Digest) != 10 {
			t.Errorf("after the former one's: %+v", r)
		}
	}
	eventually(t, "delivered", func() bool { return c.n.Load() == 6 })
	page, _, err := open(t, config(s)).History(t.Context(), "a", broker.Offset{}, 10)
	if err != nil || len(page) != 6 {
		t.Fatalf("history: %+v, %v", page, err)
	}
	for i, m := range page[1:] {
		at, err := broker.ParseOffset(page[i].Offset().String())
		if err != nil || !m.Follows(at) {
			t.Errorf("%+v does not follow %v, %v", m, at, err)
		}
		if older, _, err := b.History(t.Context(), "a", m.Offset(), 10); err != nil || len(older) != i+1 {
			t.Errorf("before %v: %d, %v", m.Offset(), len(older), err)
		}
	}
}

// laterScript is a script as another version may have it.
func laterScript(t *testing.T, name string, changes map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for old, later := range changes {
		if strings.Count(string(text), old) != 1 {
			t.Fatalf("%s does not hold %q once", name, old)
		}
		text = []byte(strings.Replace(string(text), old, later, 1))
	}
	return string(text)
}

// So does a session to which a later version has added.
func TestFormatAddedToSession(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := open(t, config(s))
	at := publish(t, b, "a", "1").Offset
	want := broker.Session{ID: "sid", User: broker.User{ID: "ann"}, Keyed: true,
		Rooms: []broker.Membership{{Room: "a", Since: at, Presence: true}, {Room: "b", Since: at}}}
	k := b.Keep("ann", want, nothing)
	if err := k.Join(t.Context(), want.Rooms[1]); err != nil {
		t.Fatal(err)
	}
	key := "setu{0}:session:ann"
	who := strings.Replace(s.do(t, "HGET "+key+" who"), `"keyed"`, `"later":{"keyed":false},"keyed"`, 1)
	rooms := s.do(t, "HGET "+key+" rooms")
	later := strings.NewReplacer("p "+at.String(), "xpz "+at.String(), "- "+at.String(), "z "+at.String()).Replace(rooms)
	if strings.Count(later, "z ") != 2 || !strings.Contains(who, "later") {
		t.Fatalf("stored: %q, %q", rooms, who)
	}
	s.do(t, "HSET "+key+" room x later x", "who", who, "rooms", later)
	r, err := b.Resume(t.Context(), "ann", at, nothing)
	if err != nil || r.ID != want.ID || r.User != want.User || !r.Keyed || !slices.Equal(r.Rooms, want.Rooms) || r.Room != "a" {
		t.Errorf("resumed %+v, %v; want %+v", r, err, want)
	}
	join(t, r.Handle, "c", at)
	if got := s.do(t, "HGET "+key+" later"); got != "x" {
		t.Errorf("what a later version added is %q after this one wrote", got)
	}
}

// What is of a later format is not read, not written and not served, and the log says why.
func TestFormatLater(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	log := &wiretest.Log{}
	b, c := openRedis(t, config(s), newLog(log)), &counter{}
	waitReady(t, b)
	stop, err := b.Subscribe(t.Context(), "a", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publish(t, b, "a", "1")
	s.do(t, "HSET setu{0}:head format 3")
	refuses := func(what string, b broker.Broker, log *wiretest.Log) {
		t.Helper()
		eventually(t, what+" refusing", func() bool { return strings.Contains(log.String(), "refusing to serve") })
		if err := b.Ready(); !errors.Is(err, broker.ErrUnavailable) || !strings.Contains(err.Error(), "later version") {
			t.Errorf("%s: ready: %v", what, err)
		}
		if r := b.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: "2"}); !errors.Is(r[0].Err, broker.ErrUnavailable) {
			t.Errorf("%s: publish: %+v", what, r)
		}
		if _, err := b.Resume(t.Context(), "ann", broker.Offset{}, nothing); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("%s: resume: %v", what, err)
		}
		if _, _, err := b.Members(t.Context(), "a", 10); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("%s: members: %v", what, err)
		}
	}
	refuses("a relay that ran", b, log)
	held := s.do(t, "HVALS setu{0}:head")
	keys := s.do(t, "DBSIZE")
	logOfNew := &wiretest.Log{}
	fresh := openRedis(t, config(s), newLog(logOfNew))
	refuses("a relay that starts", fresh, logOfNew)
	if now := s.do(t, "HVALS setu{0}:head"); now != held || s.do(t, "DBSIZE") != keys {
		t.Errorf("head was %q, is %q", held, now)
	}
	s.do(t, "HSET setu{0}:head format 1")
	waitReady(t, b)
	waitReady(t, fresh)
	if r := publish(t, fresh, "a", "2"); r.Offset.Seq != 2 {
		t.Errorf("after that: %+v", r)
	}
	eventually(t, "delivered", func() bool { return c.n.Load() == 2 })
	for _, l := range []*wiretest.Log{log, logOfNew} {
		if n := strings.Count(l.String(), "refusing to serve"); n != 1 {
			t.Errorf("said %d times:\n%s", n, l)
		}
	}
}

// Histories that were stored before there were formats go on, with their offsets; sessions do not.
func TestFormatBefore(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	s.do(t, "HSET setu{0}:head epoch abcdefghij pos 2")
	s.do(t, "XADD setu{0}:stream:a 1-1 m", "1700000000000  aaaaaaaaaaaa one")
	s.do(t, "XADD setu{0}:stream:a 2-2 m", "1700000000001 aaaaaaaaaaaa bbbbbbbbbbbb two")
	s.do(t, "HSET setu{0}:index:a tail", "2 bbbbbbbbbbbb", "s1", "ann\x001", "s2", "ann\x002",
		"iann\x001", "1 1 1700000000000 aaaaaaaaaaaa", "iann\x002", "2 2 1700000000001 bbbbbbbbbbbb")
	s.do(t, "HSET setu{0}:session:k owner relay.1 v 3", "who", `{"id":"sid","user":{"id":"ann"}}`, "left", "",
		"ra", "1 0 abcdefghij.1.1.aaaaaaaaaaaa")
	b := open(t, config(s))
	page, _, err := b.History(t.Context(), "a", broker.Offset{}, 10)
	if err != nil || len(page) != 2 || page[1].Body != "two" || page[1].Offset().String() != "abcdefghij.2.2.bbbbbbbbbbbb" {
		t.Errorf("history: %+v, %v", page, err)
	}
	if older, _, err := b.History(t.Context(), "a", page[1].Offset(), 10); err != nil || len(older) != 1 {
		t.Errorf("before the second: %+v, %v", older, err)
	}
	if r := publish(t, b, "a", "2"); !r.Duplicate || r.Offset != page[1].Offset() {
		t.Errorf("a repeat: %+v", r)
	}
	if r := publish(t, b, "a", "3"); r.Offset.Epoch != "abcdefghij" || r.Offset.Pos != 3 || r.Offset.Seq != 3 {
		t.Errorf("the next: %+v", r)
	}
	if _, err := b.Resume(t.Context(), "k", page[1].Offset(), nothing); !errors.Is(err, broker.ErrGone) {
		t.Errorf("resume: %v", err)
	}
	if got := s.do(t, "HGET setu{0}:head format"); got != "1" {
		t.Errorf("format %q", got)
	}
}
