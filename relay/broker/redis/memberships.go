package redis

import (
	"slices"

	"setu/relay/broker"
)

// leftKept is how many rooms that it left a session remembers: the last message that its client had may be of one of them.
const leftKept = 8

// memberships are where a session is, and where it was lately.
type memberships struct {
	in   []member // in the order of joining
	left []string // the latest last
	next uint64
}

type member struct {
	broker.Membership
	n uint64 // rises in the order of joining
}

func (r *memberships) at(room string) int {
	return slices.IndexFunc(r.in, func(m member) bool { return m.Room == room })
}

// join reports whether it changed anything.
func (r *memberships) join(m broker.Membership) bool {
	if i := r.at(m.Room); i >= 0 {
		was := r.in[i].Presence
		r.in[i].Presence = m.Presence
		return was != m.Presence
	}
	r.next++
	r.in = append(r.in, member{m, r.next})
	return true
}

func (r *memberships) leave(room string) bool {
	i := r.at(room)
	if i < 0 {
		return false
	}
	r.in = slices.Delete(r.in, i, i+1)
	r.left = slices.DeleteFunc(r.left, func(l string) bool { return l == room })
	r.left = append(r.left, room)
	r.left = r.left[max(0, len(r.left)-leftKept):]
	return true
}

// fill states the first memberships, in their order.
func (r *memberships) fill(rooms []broker.Membership) {
	for _, m := range rooms {
		r.join(m)
	}
}

// move says that the session is followed in a room from another place on.
func (r *memberships) move(room string, since broker.Offset) {
	if i := r.at(room); i >= 0 {
		r.in[i].Since = since
	}
}

func (r *memberships) list() []broker.Membership {
	out := make([]broker.Membership, len(r.in))
	for i, m := range r.in {
		out[i] = m.Membership
	}
	return out
}
