package simulation

import "setu/e2e/judge"

// A leave is stored when it is answered, unless Redis could not take it then, or loses it later: then the
// session may go on in the room, as the welcome tells.

func (m *member) wantOut(room string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.inRoom(room)
	if s == nil || s.asked {
		return
	}
	s.asked = true
	m.askToLeave(room, "asks to leave %s")
}

// isOver reports whether a room was left, and that may have been lost: then the session may go on in it,
// and the member takes no notice. m.mu is held.
func (m *member) isOver(room string) bool {
	unsure, over := m.unsure[room]
	return over && m.seats[room] == nil && (unsure || m.w.lossy)
}

// leaveAgain leaves the rooms that a welcome says the session is in, and the member has left. m.mu is
// held.
func (m *member) leaveAgain(rooms []string) {
	for _, room := range rooms {
		if m.seats[room] != nil {
			continue
		}
		if !m.isOver(room) {
			m.w.fault("left: %s goes on in %s over %s, which it left while Redis was well", m.name, room, m.relay.name)
		}
		m.askToLeave(room, "leaves %s, in which the session goes on")
	}
}

// askToLeave has the member leave a room. What it is answered while Redis takes nothing may get lost.
// m.mu is held.
func (m *member) askToLeave(room, how string) {
	over := m.relay
	away := over.mayLose()
	m.w.j.add(m.name, nil, how, room)
	m.ask("leave", map[string]any{"room": room}, func(answer) {
		m.unsure[room] = away || over.mayLose()
		m.w.j.add(m.name, &judge.Event{Kind: judge.Left, Room: room}, "has left %s, for sure %t", room, !m.unsure[room])
		delete(m.seats, room)
	})
}

// mayLose reports whether the relay can't store what it is told now, or not in time to say so.
func (n *node) mayLose() bool {
	return n.sick || n.frozen || n.w.frozen || n.w.refusing != "" || n.broker.Ready() != nil
}
