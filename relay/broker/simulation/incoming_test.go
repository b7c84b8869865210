package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"setu/e2e/judge"
	"setu/relay/broker"
)

type incoming struct {
	message
	User      broker.User
	Recovered bool
	Rooms     []string // of a welcome that recovered
	Reason    string
	Messages  []message
	Count     int
	Members   []broker.User
	Joined    []broker.User
	Left      []broker.User
}

// message is one as clients get it.
type message struct {
	Room   string
	Seq    uint64
	ID     string
	From   broker.User
	Offset string
	Data   string // what was said first, once plain has looked at it

	Annotations annotations
	shown       string // what it says now
}

func (in message) judged() judge.Message {
	return judge.Message{User: in.From.ID, ID: in.ID, Seq: in.Seq, Offset: in.Offset, Data: in.Data}
}

func judgedAll(all []message) (out []judge.Message) {
	for _, m := range all {
		out = append(out, m.judged())
	}
	return out
}

func (s *seat) take(in message) {
	s.offset = in.Offset
	s.run = append(s.run, heard{in.Seq, in.Offset, in.ID})
	if len(s.notes) > 4*maxRun || s.notes == nil {
		was := s.notes
		s.notes = map[string]*noted{}
		for _, h := range s.run {
			s.notes[h.offset] = was[h.offset]
		}
	}
	n := in.noted()
	s.notes[in.Offset] = &n
	s.run = s.run[max(0, len(s.run)-maxRun):]
}

// begin starts another run, of which there is no more than this.
func (s *seat) begin(offset string, messages []message) {
	s.run, s.notes, s.since = nil, nil, time.Now()
	for _, m := range messages {
		s.take(m)
	}
	s.offset = offset
}

// changes says who came and went.
func (in incoming) changes() string {
	var b strings.Builder
	for _, c := range []struct {
		what  string
		users []broker.User
	}{{"all", in.Members}, {"came", in.Joined}, {"left", in.Left}} {
		for _, u := range c.users {
			fmt.Fprintf(&b, ", %s: %s", c.what, u.Name)
		}
	}
	return b.String()
}

// people takes a presence event. m.mu is held.
func (m *member) people(s *seat, in incoming) {
	if in.Members != nil {
		for id := range s.people {
			if !slices.ContainsFunc(in.Members, func(u broker.User) bool { return u.ID == id }) {
				m.w.left(m, s, "list flicker", in.Room, id)
			}
		}
		s.people = map[string]bool{}
	}
	for _, u := range slices.Concat(in.Members, in.Joined) {
		if s.people != nil {
			s.people[u.ID] = true
		}
	}
	for _, u := range in.Left {
		delete(s.people, u.ID)
		m.w.left(m, s, "flicker", in.Room, u.ID)
	}
	s.count = in.Count
}
