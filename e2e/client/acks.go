package client

import "setu/e2e/judge"

// lostAcks is about publishes that were sent, and whose connection was cut before they were answered.
type lostAcks struct {
	toLose int             // of the messages that follow
	ids    map[string]bool // of the messages whose ack was lost; true: and whose repeat was told that they were stored
}

// LoseAcks has the client's connection cut when a message was sent the first time, for the next n: by turns
// at once, so that perhaps it comes to nothing, and when the answer is there, which is not heard.
func (m *Client) LoseAcks(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks.toLose = n
}

// LostAcks returns of how many messages the ack was lost so, and how many of them were stored: their
// repeat was answered as one.
func (m *Client) LostAcks() (lost, stored int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, is := range m.acks.ids {
		lost++
		if is {
			stored++
		}
	}
	return lost, stored
}

// losesAck reports whether the ack of what is to be sent is to be lost, and whether by a cut that does not
// wait for it.
func (m *Client) losesAck(id string) (lose, early bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, again := m.acks.ids[id]; again || m.acks.toLose == 0 {
		return false, false
	}
	m.acks.toLose--
	m.add(judge.Event{Kind: judge.Told, Note: "is to lose the ack of " + id})
	return true, len(m.acks.ids)%2 == 1
}

// keepsAck has another ack be lost for one that there was none of: the connection had ended before.
func (m *Client) keepsAck() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks.toLose++
}

// afterPublish notes what came of a publish.
func (m *Client) afterPublish(id string, lost bool, stored Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if lost {
		if m.acks.ids == nil {
			m.acks.ids = map[string]bool{}
		}
		m.acks.ids[id] = false
	} else if _, again := m.acks.ids[id]; again && stored.Duplicate {
		m.acks.ids[id] = true
	}
}
