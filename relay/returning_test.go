package relay

import (
	"encoding/json"
	"fmt"
	"setu/relay/wiretest"
	"slices"
	"strings"
)

// returning is a client that keeps what a stock client keeps for its next connection.
type returning struct {
	*wiretest.Peer
	r           *rig
	auth        string   // members of its CONNECT, with a comma behind each
	sid, pid    string   // of its last CONNECT's answer
	offset      string   // of the last event that had one
	recovered   bool     // whether its last CONNECT recovered the session
	seen        []string // "room seq" of each message, in the order in which the client got it
	early       int      // messages that came before the last CONNECT
	welcome     string   // what it said, of the last CONNECT
	afterwards  []string // names of events that came since
	named       []string // packets of events that are not Setu's, without their offsets
	attachments [][]byte
}

// returning connects a new client; auth is what it says of itself, like `"name":"Asha",`.
func (r *rig) returning(auth string) *returning {
	r.T.Helper()
	s := &returning{r: r, auth: auth}
	s.again()
	return s
}

// again connects, as stock clients do: with what is kept of the last connection.
func (s *returning) again() {
	s.r.T.Helper()
	s.Peer = s.r.Open()
	s.Packet() // the handshake
	auth := strings.TrimSuffix(s.auth, ",")
	if s.pid != "" {
		auth = fmt.Sprintf(`%s"pid":%q,"offset":%q`, s.auth, s.pid, s.offset)
	}
	s.Text("40{" + auth + "}")
	before := len(s.seen)
	for {
		packet := s.Packet()
		data, ok := strings.CutPrefix(packet, "40")
		if !ok {
			s.take(packet)
			continue
		}
		var c struct{ SID, PID string }
		if err := json.Unmarshal([]byte(data), &c); err != nil || c.SID == "" || c.PID == "" {
			s.r.T.Fatal(packet)
		}
		s.recovered, s.sid, s.pid = c.PID == s.pid, c.SID, c.PID
		break
	}
	s.early, s.afterwards = len(s.seen)-before, nil
	welcome := s.Packet()
	s.welcome = strings.TrimPrefix(welcome[:strings.LastIndex(welcome, ",")], `42["welcome",`)
	s.take(welcome)
}

// take does with a packet what a stock client does: if an event ends with a string, that is the
// offset.
func (s *returning) take(packet string) {
	s.r.T.Helper()
	if packet == "2" {
		s.Text("3")
		return
	}
	from := strings.Index(packet, "[")
	if from < 0 || packet[0] != '4' {
		s.r.T.Fatal(packet)
	}
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(packet[from:]), &args); err != nil {
		s.r.T.Fatal(err, packet)
	}
	if packet[1] == '5' {
		f := s.FrameOf(wiretest.OpBinary)
		s.attachments = append(s.attachments, f.Payload)
	}
	var offset string
	if json.Unmarshal(args[len(args)-1], &offset) == nil {
		s.offset = offset
	}
	name := strings.Trim(string(args[0]), `"`)
	s.afterwards = append(s.afterwards, name)
	if name != "message" {
		if !slices.Contains([]string{"welcome", "presence", "reset", "signal"}, name) {
			s.named = append(s.named, strings.TrimSuffix(packet, `,"`+offset+`"]`))
		}
		return
	}
	var m struct {
		Room   string
		Seq    int
		Offset string
	}
	if strings.Contains(s.auth, `"compact":true`) {
		m.Offset = offset // compact messages say it once
	}
	if err := json.Unmarshal(args[1], &m); err != nil || m.Offset != offset {
		s.r.T.Fatal("a message ends with its offset: ", packet)
	}
	s.seen = append(s.seen, fmt.Sprint(m.Room, " ", m.Seq))
}

// hear takes what has come, up to the answer to a ping sent now.
func (s *returning) hear() {
	s.r.T.Helper()
	s.Call("ping", "{}")
	for len(s.Held) > 0 {
		s.take(s.Packet())
	}
}

// cut ends the connection without a word.
func (s *returning) cut() { _ = s.Conn.Close() }

// say publishes n messages in each of the rooms, by turns.
func say(p *wiretest.Peer, n int, rooms ...string) {
	for range n {
		for _, room := range rooms {
			p.Call("publish", `{"room":"`+room+`","data":1}`)
		}
	}
	p.Held = nil
}

// expectSeen checks which messages the client got, and forgets them.
func (s *returning) expectSeen(want ...string) {
	s.r.T.Helper()
	if !slices.Equal(s.seen, want) {
		s.r.T.Errorf("seen %v, want %v", s.seen, want)
	}
	s.seen = nil
}

// expectNamed checks which events that are not Setu's the client got, and forgets them.
func (s *returning) expectNamed(want ...string) {
	s.r.T.Helper()
	if !slices.Equal(s.named, want) {
		s.r.T.Errorf("heard %q, want %q", s.named, want)
	}
	s.named = nil
}

func (s *returning) expectRecovered(want bool) {
	s.r.T.Helper()
	if s.recovered != want {
		s.r.T.Errorf("recovered %v, want %v", s.recovered, want)
	}
}
