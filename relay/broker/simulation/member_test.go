package simulation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"setu/e2e/judge"
	"setu/relay/broker"
)

// member is a client as a person has one: it joins rooms, and goes on in them from the offsets that it
// was given. When its connection ends it stays away until the driver has it come back.
type member struct {
	w         *world
	name, key string

	mu      sync.Mutex // guards what follows
	relay   *node      // where it is connected, or tries to be
	c       *wire      // nil: away
	up      bool       // welcomed
	early   []string   // packets that came before the CONNECT was answered
	by      string     // the pid that this connection tries to resume
	pid     string
	offset  string // the last that ended an event
	user    string // public id
	seats   map[string]*seat
	unsure  map[string]bool // rooms whose leaving was answered: whether Redis could not take that
	pending map[int]func(answer)
	acks    int
}

// seat is what a member has of one room.
type seat struct {
	joined  bool
	asked   bool              // a join or leave is under way
	offset  string            // the newest that it was given; empty: it was never there
	run     []heard           // what it has without a break
	notes   map[string]*noted // how that stands, by offset
	since   time.Time         // when the run began: everything after that it must have, or have been told
	joining time.Time         // when it last became a member
	here    time.Time         // since when it has been one over this connection
	people  map[string]bool
	count   int
}

type heard struct {
	seq    uint64
	offset string
	id     string
}

// maxRun bounds what a member remembers of a room, in messages; no history keeps so many.
const maxRun = 256

func newMember(w *world, name, key string) *member {
	return &member{w: w, name: name, key: key, seats: map[string]*seat{}, unsure: map[string]bool{}, pending: map[int]func(answer){}}
}

// come connects to a relay, as somebody new or to resume by pid.
func (m *member) come(n *node, resume bool) {
	m.leave("")
	conn, err := n.dial()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.w.j.add(m.name, nil, "finds %s shut", n.name)
		return
	}
	m.c, m.relay, m.up, m.early, m.by = dialWire(conn, &m.w.running), n, false, nil, ""
	auth := map[string]string{"name": m.name, "key": m.key}
	if resume && m.pid != "" && m.settled() {
		m.by, auth["pid"], auth["offset"] = m.pid, m.pid, m.offset
	}
	if m.by != "" {
		m.w.j.add(m.name, nil, "comes to %s with a pid and %s", n.name, m.offset)
	} else {
		m.w.j.add(m.name, nil, "comes to %s", n.name)
	}
	c := m.c
	text, _ := json.Marshal(auth)
	m.w.running.Go(func() { m.listen(c, "40"+string(text)) })
}

// settled reports whether no join or leave is without an answer: otherwise the session may have rooms
// that this member does not know to be in. m.mu is held.
func (m *member) settled() bool {
	for _, s := range m.seats {
		if s.asked {
			return false
		}
	}
	return true
}

// leave ends the connection, if there is one.
func (m *member) leave(why string) {
	m.mu.Lock()
	c := m.c
	m.mu.Unlock()
	if c == nil {
		return
	}
	if why != "" {
		m.w.j.add(m.name, nil, "%s", why)
	}
	m.ended(c)
}

// ended notes that a connection has: whatever it did not answer stays unanswered.
func (m *member) ended(c *wire) {
	c.close()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c != c {
		return
	}
	if m.up {
		m.w.j.add(m.name, &judge.Event{Kind: judge.Gone}, "loses the connection to %s", m.relay.name)
	}
	m.c, m.up = nil, false
	clear(m.pending)
}

func (m *member) listen(c *wire, connect string) {
	defer m.ended(c)
	if err := c.handshake(); err != nil {
		return
	}
	for {
		p, err := c.read()
		if err != nil {
			return
		}
		switch {
		case strings.HasPrefix(p, "0"):
			c.say(connect)
		case p == "2":
			c.say("3")
		case p == "1", strings.HasPrefix(p, "41"), strings.HasPrefix(p, "44"):
			m.w.j.add(m.name, nil, "is sent away by %s: %s", m.relay.name, p)
			return
		default:
			m.hear(c, p)
		}
	}
}

// hear takes a Socket.IO packet.
func (m *member) hear(c *wire, p string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c != c {
		return
	}
	switch {
	case strings.HasPrefix(p, "40"):
		m.connected(p[2:])
	case strings.HasPrefix(p, "43"):
		m.answered(p[2:])
	case strings.HasPrefix(p, "42") && !m.up:
		m.early = append(m.early, p[2:])
	case strings.HasPrefix(p, "42"):
		m.event(p[2:])
	}
}

// connected takes the answer to the CONNECT. m.mu is held.
func (m *member) connected(text string) {
	var in struct{ SID, PID string }
	_ = json.Unmarshal([]byte(text), &in)
	m.up = true
	if m.by != "" && in.PID == m.by {
		m.w.j.add(m.name, &judge.Event{Kind: judge.Resumed}, "goes on with the session, %d events missed", len(m.early))
		for _, s := range m.seats {
			s.here = time.Now()
		}
		for _, p := range m.early {
			m.event(p)
		}
		return
	}
	why := ""
	if m.by != "" {
		why = ", which does not know the session"
	}
	m.w.j.add(m.name, &judge.Event{Kind: judge.Connected}, "is connected to %s%s", m.relay.name, why)
	m.pid = in.PID
	for _, s := range m.seats {
		s.joined, s.asked = false, false
	}
	for _, p := range m.early {
		m.w.fault("%s was sent %.60s before a CONNECT that resumes nothing", m.name, p)
	}
}

// event takes an event. m.mu is held.
func (m *member) event(text string) {
	var args []json.RawMessage
	if json.Unmarshal([]byte(text), &args) != nil || len(args) < 2 {
		m.w.fault("%s was sent %.80s", m.name, text)
		return
	}
	var last string
	if json.Unmarshal(args[len(args)-1], &last) == nil {
		m.offset = last
	}
	var in incoming
	_ = json.Unmarshal(args[1], &in)
	m.w.plain(&in.message)
	for i := range in.Messages {
		m.w.plain(&in.Messages[i])
	}
	s := m.seats[in.Room]
	switch string(args[0]) {
	case `"welcome"`:
		m.user = in.User.ID
		m.w.know(m.user, m.name)
		if in.Recovered {
			m.w.count(&m.w.verdict.resumed)
			m.leaveAgain(in.Rooms)
			for room, s := range m.seats { // a failover may have lost a join alone: the welcome tells
				if s.joined && !slices.Contains(in.Rooms, room) {
					s.joined = false
				}
			}
		}
		m.rejoin()
	case `"message"`:
		m.w.learn(in.message)
		if m.isOver(in.Room) {
			return
		}
		m.w.j.add(m.name, &judge.Event{Kind: judge.Received, Room: in.Room, Message: in.judged()}, "")
		if s != nil {
			s.take(in.message)
		}
	case `"annotation"`:
		var a annotation
		if err := json.Unmarshal(args[1], &a); err != nil || last == "" {
			m.w.fault("%s was sent %.80s", m.name, text)
		}
		if s != nil && !m.isOver(in.Room) {
			s.annotated(a)
			s.offset = last
		}
	case `"reset"`:
		for _, in := range in.Messages {
			m.w.learn(in)
		}
		if m.isOver(in.Room) {
			return
		}
		m.w.j.add(m.name, &judge.Event{Kind: judge.Reset, Room: in.Room, Offset: in.Offset, Messages: judgedAll(in.Messages)},
			"is told of a gap in %s (%s), which stands at %s", in.Room, in.Reason, in.Offset)
		m.w.count(&m.w.verdict.resets)
		m.w.resets(m, s, in)
		if s != nil {
			s.begin(in.Offset, in.Messages)
		}
	case `"presence"`:
		m.w.j.add(m.name, nil, "hears of %s: %d users%s", in.Room, in.Count, in.changes())
		if s != nil {
			m.people(s, in)
		}
	}
}

// answer is an ack.
type answer struct {
	OK        bool
	Room      string
	ID        string
	Offset    string
	Seq       uint64
	Duplicate bool
	Recovered bool
	Messages  []message
	Count     int
	Members   []broker.User
	Rev       uint64
	Error     struct{ Code, Message string }

	Annotations []annotation
}

// answered takes an ack. m.mu is held.
func (m *member) answered(text string) {
	at := strings.IndexByte(text, '[')
	id, err := strconv.Atoi(text[:max(at, 0)])
	done := m.pending[id]
	var in []answer
	if err != nil || json.Unmarshal([]byte(text[at:]), &in) != nil || len(in) != 1 {
		m.w.fault("%s was answered %.80s", m.name, text)
		return
	}
	for i := range in[0].Messages {
		m.w.plain(&in[0].Messages[i])
	}
	if done != nil {
		delete(m.pending, id)
		done(in[0])
	}
}

// ask sends a request; done is called with m.mu held. m.mu is held.
func (m *member) ask(event string, body any, done func(answer)) {
	m.acks++
	m.pending[m.acks] = done
	text, _ := json.Marshal(body)
	m.c.say(fmt.Sprintf(`42%d["%s",%s]`, m.acks, event, text))
}

// rejoin asks for all rooms again. m.mu is held.
func (m *member) rejoin() {
	for _, room := range m.w.rooms {
		if s := m.seats[room]; s != nil && !s.joined && !s.asked {
			m.join(room, s)
		}
	}
}

// retryPause is how long a member that is told to try again waits.
const retryPause = time.Second

// join asks for a room, from where the member was. m.mu is held.
func (m *member) join(room string, s *seat) {
	body := map[string]any{"room": room, "presence": true}
	since := s.offset
	if since != "" {
		body["since"] = since
	} else {
		body["history"] = 5
	}
	s.asked = true
	m.w.j.add(m.name, &judge.Event{Kind: judge.Joining, Room: room, Since: since}, "asks to join %s over %s, since %q", room, m.relay.name, since)
	began := time.Now()
	c, over := m.c, m.relay
	m.ask("join", body, func(a answer) {
		s.asked = false
		took := time.Since(began)
		m.w.joinTook(m, over, took)
		if !a.OK {
			m.w.j.add(m.name, nil, "may not join %s: %s", room, a.Error.Code)
			time.AfterFunc(retryPause, func() { m.again(c, room) })
			return
		}
		m.w.j.add(m.name, &judge.Event{Kind: judge.Joined, Room: room, Since: since, Offset: a.Offset, Recovered: a.Recovered,
			Messages: judgedAll(a.Messages)}, "is in %s after %v, recovered %t, at %s with %d messages, %d users",
			room, took.Round(time.Millisecond), a.Recovered, a.Offset, len(a.Messages), a.Count)
		m.w.joined(m, s, room, since, a)
		for _, in := range a.Messages {
			m.w.learn(in)
		}
		s.joined, s.joining, s.here = true, time.Now(), time.Now()
		if since != "" && a.Recovered {
			for _, in := range a.Messages {
				s.take(in)
			}
			s.annotated(a.Annotations...)
			s.offset = a.Offset
		} else {
			s.begin(a.Offset, a.Messages)
		}
		s.people, s.count = map[string]bool{}, a.Count
		for _, u := range a.Members {
			s.people[u.ID] = true
		}
	})
}

func (m *member) again(c *wire, room string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.seats[room]; m.c == c && m.up && s != nil && !s.joined && !s.asked {
		m.join(room, s)
	}
}

// inRoom returns the member's seat if it is in the room.
func (m *member) inRoom(room string) *seat {
	if s := m.seats[room]; m.up && s != nil && s.joined {
		return s
	}
	return nil
}
