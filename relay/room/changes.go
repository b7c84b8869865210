package room

import (
	"slices"
	"time"

	"setu/relay/broker"
)

// changes are what has happened to users in one moment, without what undoes itself.
type changes struct {
	after int64    // they were announced after that, ms; 0 while there are none
	order []string // ids, by their first change
	byID  map[string]*change
}

// change is how a user stood before the moment, and stands now.
type change struct {
	wasHere bool
	was     string // the user's JSON before; empty if it is not known
	here    bool
	user    string // the user's JSON now, or as the user left
	flipped bool   // the user came or went more than once
	named   bool   // something else than the user's places may have changed
}

// netChange is a user who joined, left or was renamed.
type netChange struct{ id, user string }

// netChanges are the changes of a moment, as members are told them. Those who moved are called what they
// were, and are at other places, which is told to whoever asked. Those who came back, came and went,
// or are called again what they were, are news only to whoever was told in between who is there.
type netChanges struct {
	joined, left, renamed, moved, back, gone, same []netChange

	after int64 // when the changes were announced at the earliest, ms
}

func (n netChanges) empty() bool { return len(n.joined)+len(n.left)+len(n.renamed) == 0 }

// whole is n for somebody who was told in between who is there.
func (n netChanges) whole() netChanges {
	return netChanges{joined: slices.Concat(n.joined, n.back), left: slices.Concat(n.left, n.gone), renamed: slices.Concat(n.renamed, n.same), moved: n.moved}
}

// withMoves is n for somebody who is told of places, too.
func (n netChanges) withMoves() netChanges {
	n.renamed, n.moved = slices.Concat(n.renamed, n.moved), nil
	return n
}

// add notes a change. was is what members know the user as if it is renamed; empty if that is not
// known.
func (c *changes) add(id string, ch broker.Change, was string) {
	if c.byID == nil {
		c.byID, c.after = map[string]*change{}, time.Now().UnixMilli()
	}
	if !ch.After.IsZero() {
		c.after = min(c.after, ch.After.UnixMilli())
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
	} else if !ch.Renamed {
		noted.flipped = true
	}
	noted.named = noted.named || !ch.Moved
	noted.here, noted.user = ch.Joined || ch.Renamed, ch.User
}

// take returns what has changed in all and begins anew. A user who left and came back in the same
// moment did neither, but may have another name. One who was renamed and renamed back is left out,
// if the first name is known.
func (c *changes) take() (net netChanges) {
	net.after = c.after
	for _, id := range c.order {
		ch := c.byID[id]
		n := netChange{id, ch.user}
		switch {
		case ch.here && !ch.wasHere:
			net.joined = append(net.joined, n)
		case ch.wasHere && !ch.here:
			net.left = append(net.left, n)
		case ch.here && ch.user != ch.was && !ch.named:
			net.moved = append(net.moved, n)
		case ch.here && ch.user != ch.was:
			net.renamed = append(net.renamed, n)
		}
		switch {
		case ch.flipped && ch.here && ch.wasHere:
			net.back = append(net.back, n)
		case ch.flipped && !ch.here && !ch.wasHere:
			net.gone = append(net.gone, n)
		case ch.here && ch.wasHere && ch.user == ch.was:
			net.same = append(net.same, n)
		}
	}
	*c = changes{}
	return net
}
