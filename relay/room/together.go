package room

import (
	"slices"

	"setu/relay/socketio"
)

// Weight is how many bytes the messages of j take in a packet, with their attachments.
func (j Joined) Weight() int { return j.Messages.weight() + j.Notes.weight() }

// WithoutMessages is j if there is no room for its messages and annotations. If it had any, they are missed.
func (j Joined) WithoutMessages() Joined {
	if len(j.Notes) > 0 {
		j.Notes, j.Recovered = nil, false
	}
	return j.keep(nil)
}

// keep is j with its newest messages alone.
func (j Joined) keep(newest List) Joined {
	if len(newest) < len(j.Messages) {
		j.Messages, j.Notes, j.Recovered = newest, nil, false
	}
	return j
}

// FitTogether cuts the messages of several joins to what one packet can carry, in place: each room's
// newest that fit beside what the rooms before it have. A room of which something is cut is not
// recovered.
func FitTogether(joins []Joined) {
	binary := slices.ContainsFunc(joins, func(j Joined) bool { return j.Messages.isBinary() || j.Notes.isBinary() })
	var full packing
	for i, j := range joins {
		for _, n := range j.Notes {
			if !full.add(n, binary) {
				j.Notes, j.Recovered = nil, false
				break
			}
		}
		at := len(j.Messages)
		for at > 0 && full.add(j.Messages[at-1], binary) {
			at--
		}
		joins[i] = j.keep(j.Messages[at:])
	}
}

// packing is what a packet holds so far.
type packing struct {
	size, attached int
	literal        bool // some message has text that reads as a reference to an attachment
}

// add takes one more message, unless it does not fit.
func (p *packing) add(m stored, binary bool) bool {
	next := packing{p.size + m.size() + 1, p.attached + m.attached, p.literal || binary && m.attached == 0 && m.literal()}
	if next.size > MaxReplay || next.attached > socketio.MaxAttachments || next.literal && next.attached > 0 {
		return false
	}
	*p = next
	return true
}
