package e2e_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"setu/e2e/balancer"
	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// program runs clients of somebody else's making, and does what it is asked to;
// out is for the answer. What fails there fails the test.
type program interface {
	do(ask map[string]any, out any)
}

// stock is one of a program's clients: it comes back by itself, joins again with
// the last offset that it has seen, and keeps a log, which is judged with what
// the members did.
type stock struct {
	*fleet
	program program
	n       int // which of the program's clients
	name    string
	user    client.User
	threads bool // it hears on several threads, so its order says nothing

	log       []entry // so far
	connected bool
	transport string
	recovers  bool // it knows of connection state recovery
}

// entry is a line of a client's log.
type entry struct {
	At        float64 // milliseconds since 1970
	Kind      string
	Session   string // Engine.IO's id
	Room      string
	Since     string
	Offset    string
	Recovered bool
	Duplicate bool
	Note      string
	Message   stockMessage
	Messages  []stockMessage
}

type stockMessage struct {
	Room, ID, User, Offset string
	Seq                    uint64
	Data                   string // JSON; see client.Bytes
}

type stockJoined struct {
	OK       bool
	Count    int
	Messages []stockMessage
}

type stockStored struct {
	OK        bool
	Seq       uint64
	Offset    string
	Duplicate bool
}

// connect starts a program's nth client. No transports are the client's default:
// polling, then the upgrade.
func (f *fleet) stock(p program, n int, name, url string, transports ...string) *stock {
	f.t.Helper()
	s := &stock{fleet: f, program: p, n: n, name: name}
	ask := map[string]any{"do": "connect", "url": url, "auth": map[string]string{"name": name, "key": "the-secret-of-" + strings.ReplaceAll(name, " ", "-")}}
	if len(transports) > 0 {
		ask["transports"] = transports
	}
	p.do(ask, &s.user)
	if s.user.Name != name || s.user.ID == "" {
		f.t.Errorf("%s was welcomed as %+v", name, s.user)
	}
	return s
}

func (s *stock) ask(what string, more map[string]any, out any) {
	s.t.Helper()
	ask := map[string]any{"do": what, "n": s.n, "room": s.room}
	for key, value := range more {
		ask[key] = value
	}
	s.program.do(ask, out)
}

func (s *stock) join() (joined stockJoined) {
	s.t.Helper()
	if s.ask("join", nil, &joined); !joined.OK {
		s.t.Fatalf("%s was not let in", s.name)
	}
	return joined
}

// say publishes data, which is JSON.
func (s *stock) say(id, data string) (stored stockStored) {
	s.t.Helper()
	var answer json.RawMessage
	s.ask("publish", map[string]any{"id": id, "data": data}, &answer)
	if err := json.Unmarshal(answer, &stored); err != nil || !stored.OK {
		s.t.Fatalf("%s publishes %s, and is answered %s", s.name, data, answer)
	}
	return stored
}

func (s *stock) history() []stockMessage {
	s.t.Helper()
	var page struct{ Messages []stockMessage }
	s.ask("history", nil, &page)
	return page.Messages
}

// readLog takes what the client has written since the last time, and puts it into
// the history.
func (s *stock) readLog() {
	s.t.Helper()
	var state struct {
		Log       []entry
		Connected bool
		Transport string
		Recovers  bool
	}
	s.ask("state", nil, &state)
	s.connected, s.transport, s.recovers = state.Connected, state.Transport, state.Recovers
	for _, e := range state.Log {
		s.log = append(s.log, e)
		s.record(e)
	}
}

// record puts an entry into the history.
func (s *stock) record(e entry) {
	at := e.at()
	event := judge.Event{Client: s.name, Kind: judge.Kind(e.Kind), Room: e.Room, Since: e.Since, Recovered: e.Recovered,
		Duplicate: e.Duplicate, Offset: e.Offset, Note: strings.TrimSpace(e.Session + " " + e.Note)}
	if e.Message.Room != "" {
		event.Room, event.Message = e.Message.Room, e.Message.judged()
	}
	for _, m := range e.Messages {
		event.Messages = append(event.Messages, m.judged())
	}
	switch event.Kind {
	case judge.Publishing:
		// The clocks of two programs may differ by a little.
		at = at.Add(-2 * time.Millisecond)
	case judge.Received, judge.Joined, judge.Reset:
		if s.threads {
			event.Kind = judge.Told
		}
	case judge.Connected, judge.Gone, judge.Resumed, judge.Joining, judge.Stored:
	default: // of no importance to the judge
		event.Note, event.Kind = e.Kind+" "+event.Note, judge.Told
	}
	s.fleet.history.AddAt(at, event)
}

func (e entry) at() time.Time { return time.UnixMicro(int64(e.At * 1000)) }

func (m stockMessage) judged() judge.Message {
	return judge.Message{User: m.User, ID: m.ID, Seq: m.Seq, Offset: m.Offset, Data: m.Data}
}

// heard is the data that the client has by sequence number; more than one is a duplicate.
func (s *stock) heard() map[uint64][]string {
	heard := map[uint64][]string{}
	for _, e := range s.log {
		if e.Kind == "received" {
			heard[e.Message.Seq] = append(heard[e.Message.Seq], e.Message.Data)
		}
		for _, m := range e.Messages {
			heard[m.Seq] = append(heard[m.Seq], m.Data)
		}
	}
	return heard
}

// comebacks returns how often the client came back to its room and had all that it
// had missed; resumed counts those for which it did not even have to ask.
func (s *stock) comebacks() (all, resumed int) {
	for _, e := range s.log {
		switch {
		case e.Kind == "resumed":
			all++
			resumed++
		case e.Kind == "joined" && e.Since != "" && e.Recovered:
			all++
		}
	}
	return all, resumed
}

// await waits for something that the client's log will show.
func (s *stock) await(what string, condition func() error) {
	s.t.Helper()
	cluster.Eventually(s.t, patience, s.name+" "+what, func() error {
		s.readLog()
		if err := condition(); err != nil {
			return fmt.Errorf("%w (connected: %t, by %s)", err, s.connected, s.transport)
		}
		return nil
	})
}

// awaitAll waits until the client has all messages up to one, and each once.
func (s *stock) awaitAll(upTo uint64) {
	s.t.Helper()
	s.await(fmt.Sprintf("has all %d", upTo), func() error {
		heard := s.heard()
		for seq := uint64(1); seq <= upTo; seq++ {
			switch len(heard[seq]) {
			case 0:
				return fmt.Errorf("%d is missing", seq)
			case 1:
			default:
				s.t.Fatalf("%d came to %s %d times", seq, s.name, len(heard[seq]))
			}
		}
		return nil
	})
}

// tale is what tellStory has to do with.
type tale struct {
	*fleet
	asha    *client.Client
	way     *balancer.Balancer // to the relay at which the clients are to be
	clients []*stock
}

// tellStory has three clients of a program, each with other transports, chat
// with a client at another relay, and lose their own in all ways.
func tellStory(t *testing.T, f *fleet, p program, name string, threads bool) []*stock {
	s := &tale{fleet: f, asha: f.join("asha", f.tokyo, f.dublin), way: balancer.Start(t, f.dublin.Address())}
	for n := range 5 {
		s.asha.Say(f.room, fmt.Sprintf("before %d", n))
	}
	for n, transports := range [][]string{nil, {"websocket"}, {"polling"}} {
		c := f.stock(p, n, strings.TrimSpace(name+" "+strings.Join(transports, "")), s.way.URL(), transports...)
		c.threads = threads
		if joined := c.join(); joined.Count != 2+n || len(joined.Messages) != 5 {
			t.Errorf("%s joined: %+v", c.name, joined)
		}
		s.clients = append(s.clients, c)
	}
	s.speak("hello")
	for n, transport := range []string{"websocket", "websocket", "polling"} {
		s.clients[n].await("goes by "+transport, func() error {
			if c := s.clients[n]; c.transport != transport {
				return fmt.Errorf("goes by %s", c.transport)
			}
			return nil
		})
	}
	for _, c := range s.clients {
		if again := c.say("hello from "+c.name, `"hello"`); !again.Duplicate {
			t.Errorf("%s repeated itself, and was answered %+v", c.name, again)
		}
	}
	s.sendBytes()
	s.comeBack()
	s.everyoneHas(s.asha.Say(f.room, "the end").Seq)
	if verdict := f.history.Judge(); len(verdict.Faults) > 0 {
		t.Error(verdict)
	}
	return s.clients
}

// speak has everyone say something that everyone hears.
func (s *tale) speak(about string) {
	s.t.Helper()
	for _, c := range s.clients {
		id := about + " from " + c.name
		c.say(id, fmt.Sprintf("%q", about))
		s.asha.AwaitMessage(s.room, id)
	}
	s.everyoneHas(s.asha.Say(s.room, "you said: "+about).Seq)
}

// everyoneHas waits until all clients have the messages up to one.
func (s *tale) everyoneHas(upTo uint64) {
	s.t.Helper()
	for _, c := range s.clients {
		c.awaitAll(upTo)
	}
}

// sendBytes has each client publish bytes, which all hear as bytes, and find in
// the history as bytes.
func (s *tale) sendBytes() {
	s.t.Helper()
	const data = `{"name":"cat.png","parts":[{"$bytes":"89504e4700ff"},{"$bytes":""}],"size":6}`
	stored, last := map[uint64]bool{}, uint64(0)
	for _, c := range s.clients {
		id := "bytes from " + c.name
		last = c.say(id, data).Seq
		stored[last] = true
		s.asha.AwaitMessage(s.room, id)
	}
	s.everyoneHas(last)
	for _, c := range s.clients {
		heard, found := c.heard(), 0
		for seq := range stored {
			if !same(heard[seq][0], data) {
				s.t.Errorf("%s heard %s", c.name, heard[seq][0])
			}
		}
		for _, m := range c.history() {
			if stored[m.Seq] && same(m.Data, data) {
				found++
			}
		}
		if found != len(stored) {
			s.t.Errorf("%s finds %d of %d in the history", c.name, found, len(stored))
		}
	}
	for _, m := range s.asha.Messages(s.room) {
		if stored[m.Seq] && m.Data != data {
			s.t.Errorf("asha heard %s", m.Data)
		}
	}
}

// same compares JSON.
func same(one, other string) bool {
	var a, b any
	return json.Unmarshal([]byte(one), &a) == nil && json.Unmarshal([]byte(other), &b) == nil && reflect.DeepEqual(a, b)
}

// comeBack has the clients lose their connections, then their relay, and then
// the other one.
func (s *tale) comeBack() {
	s.t.Helper()
	// One that polls may be between two requests, or its browser sends the request
	// again without a word: then it has nothing to come back from.
	s.lose("cut all connections", func(c *stock) bool { return c.transport == "polling" }, s.way.Cut)
	none := func(*stock) bool { return false }
	s.lose("kill dublin", none, func() {
		s.dublin.Kill()
		s.way.Point(s.tokyo.Address())
	})
	s.do("start dublin", s.dublin.Start)
	s.lose("drain tokyo", none, func() {
		s.tokyo.Signal("SIGTERM")
		s.way.Point(s.dublin.Address())
		if code := s.tokyo.AwaitExit(); code != 0 {
			s.t.Errorf("exit code %d after a drain", code)
		}
	})
}

// lose has something happen, after which all clients come back, but for those
// that may not have noticed, and nobody has missed anything.
func (s *tale) lose(what string, unnoticed func(*stock) bool, happen func()) {
	s.t.Helper()
	before := map[*stock]int{}
	for _, c := range s.clients {
		c.readLog()
		before[c], _ = c.comebacks()
	}
	s.do(what, happen)
	var last uint64
	for n := range 5 {
		last = s.asha.Say(s.room, fmt.Sprintf("%s %d", what, n)).Seq
	}
	s.everyoneHas(last)
	for _, c := range s.clients {
		c.await("comes back: "+what, func() error {
			if all, _ := c.comebacks(); all == before[c] && !unnoticed(c) || !c.connected {
				return fmt.Errorf("came back %d times", all)
			}
			return nil
		})
		if all, resumed := c.comebacks(); c.recovers && resumed != all {
			s.t.Errorf("%s: %s came back %d times, %d of them without joining again", what, c.name, all, resumed)
		}
	}
	s.speak("after: " + what)
}
