package room

// Here returns the rooms that have members on this relay, by name, with those members in no order. It is for
// looking at: it takes each room's lock in turn, so the whole is of no one moment.
func (h *Hub) Here() map[string][]Member {
	out := map[string][]Member{}
	h.rooms.Range(func(name, r any) bool {
		if members := r.(*Room).here(); len(members) > 0 {
			out[name.(string)] = members
		}
		return true
	})
	return out
}

func (r *Room) here() (members []Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(members, r.sinks...)
}
