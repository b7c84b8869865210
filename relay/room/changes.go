package room

import "setu/relay/broker"

// changes are what has happened to users in one moment, without what undoes itself.
type changes struct {
	order []string // ids, by their first change
	byID  map[string]*change
}

// change is how a user stood before the moment, and stands now.
type change struct {
	wasHere bool
	was     string // the user's JSON before; empty if it is not known
	here    bool
	user    string // the user's JSON now, or as the user left
}

// netChange is a user who joined, left or was renamed.
type netChange struct{ id, user string }

// netChanges are the changes of a moment, as members are told them.
type netChanges struct{ joined, left, renamed []netChange }

func (n netChanges) empty() bool { return len(n.joined)+len(n.left)+len(n.renamed) == 0 }

// add notes a change. was is what members know the user as if it is renamed; empty if that is not
// known.
func (c *changes) add(id string, ch broker.Change, was string) {
	if c.byID == nil {
		c.byID = map[string]*change{}
	}
	noted := c.byID[id]
	if noted == nil {
		noted = &change{wasHere: !ch.Joined}
		switch {
		case ch.Renamed:
			noted.was = was
		case !ch.Joined:
			noted.was = ch.User
		}
		c.byID[id] = noted
		c.order = append(c.order, id)
	}
	noted.here, noted.user = ch.Joined || ch.Renamed, ch.User
}

// take returns what has changed in all and begins anew. A user who left and came back in the same
// moment did neither, but may have another name. One who was renamed and renamed back is left out,
// if the first name is known.
func (c *changes) take() (net netChanges) {
	for _, id := range c.order {
		ch := c.byID[id]
		n := netChange{id, ch.user}
		switch {
		case ch.here && !ch.wasHere:
			net.joined = append(net.joined, n)
		case ch.wasHere && !ch.here:
			net.left = append(net.left, n)
		case ch.here && ch.user != ch.was:
			net.renamed = append(net.renamed, n)
		}
	}
	c.order, c.byID = nil, nil
	return net
}
