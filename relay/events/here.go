package events

import (
	"cmp"
	"slices"

	"setu/relay/broker"
)

// Connected is a session that is connected to this relay.
type Connected struct {
	SessionInfo
	User  broker.User `json:"user"`
	Rooms []string    `json:"rooms"` // in order of their names
}

// Connected returns the sessions that are connected to this relay, the oldest first, at most so many, and how
// many there are. It is for looking at, with one relay at hand; the server API looks at all of them.
func (root *Root) Connected(most int) (list []Connected, total int) {
	rooms := map[string][]string{}
	for name, members := range root.hub.Here() {
		for _, m := range members {
			rooms[m.ID()] = append(rooms[m.ID()], name)
		}
	}
	root.mu.Lock()
	all := slices.Collect(root.connections.all())
	root.mu.Unlock()
	slices.SortFunc(all, func(x, y *connection) int { return cmp.Or(x.began.Compare(y.began), cmp.Compare(x.id, y.id)) })
	for _, c := range all[:min(len(all), most)] {
		in := append([]string{}, rooms[c.id]...) // not nil: in JSON it is a list
		slices.Sort(in)
		list = append(list, Connected{c.info(), c.User().Unplaced(), in})
	}
	return list, len(all)
}
