package room

// changes are the joins and leaves of one moment, without those that undo each other.
type changes struct {
	order []string // ids, as they came
	byID  map[string]change
}

// change is what has happened to a user in all.
type change struct {
	joined bool // left otherwise
	user   string
}

// netChange is a user who joined or left.
type netChange struct{ id, user string }

// add notes a change. A user who left and came back in the same moment did neither.
func (c *changes) add(id string, ch change) {
	if c.byID == nil {
		c.byID = map[string]change{}
	}
	was, noted := c.byID[id]
	switch {
	case noted && was.joined != ch.joined:
		delete(c.byID, id)
	case !noted:
		c.order = append(c.order, id)
		fallthrough
	default:
		c.byID[id] = ch
	}
}

// take returns what has changed and begins anew.
func (c *changes) take() (joined, left []netChange) {
	for _, id := range c.order {
		ch, ok := c.byID[id]
		if !ok {
			continue
		}
		delete(c.byID, id)
		if ch.joined {
			joined = append(joined, netChange{id, ch.user})
		} else {
			left = append(left, netChange{id, ch.user})
		}
	}
	c.order, c.byID = nil, nil
	return joined, left
}
