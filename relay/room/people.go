package room

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"setu/relay/broker"
)

// admit makes m a member, or lets it be one; the caller's reference becomes the membership's. r.mu is held.
func (r *Room) admit(m Member, text string) (again bool) {
	u := m.User()
	here := r.users[u.ID]
	if here == nil {
		here = &user{}
		r.users[u.ID] = here
	}
	here.who, here.json = u, text
	if r.members[m] != nil {
		r.refs-- // the membership has one
		return true
	}
	here.connections++
	ms := &membership{member: m, at: len(r.list)}
	r.members[m] = ms
	r.list = append(r.list, ms)
	return false
}

// arrive announces m's user, and reads who is there where m wants to know. Where the broker can't tell, this relay's own
// members are the answer: a live room can be joined without it.
func (r *Room) arrive(ctx context.Context, u broker.User, text string, list bool) (count int, members []string) {
	count, err := r.hub.broker.Enter(ctx, r.name, u)
	if err != nil {
		count = 0
	}
	if !list {
		return count, nil
	}
	var n int
	if err == nil { // a broker that has not answered is not waited for twice
		members, n, err = r.hub.Members(ctx, r.name)
	}
	if err != nil {
		members, n = r.here()
	}
	if members == nil && n > 0 {
		return max(count, n), nil // too many to list
	}
	members = with(members, u.ID, text)
	return max(count, len(members)), members
}

// with adds a user to a list that may have been read just before he entered.
func with(members []string, id, text string) []string {
	if slices.ContainsFunc(members, is(id)) {
		return members
	}
	return append(members[:len(members):len(members)], text)
}

// is tells whether a member's JSON is that of the user with this id, which comes first in it.
func is(id string) func(string) bool {
	head := `{"id":` + quote(id) + `,`
	return func(text string) bool { return strings.HasPrefix(text, head) }
}

// listen begins to note who comes and goes, for a join that is about to read who is here.
func (r *Room) listen() (from int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joining++
	return len(r.heard)
}

// unlisten returns what was noted. r.mu is held.
func (r *Room) unlisten(from int) []broker.Change {
	heard := r.heard[from:]
	if r.joining--; r.joining == 0 {
		r.heard = nil
	}
	return heard
}

// amend brings a list up to date with the changes since. Those that it has seen already change nothing that lasts: what came
// after them is among the changes, or is still to come.
func amend(members []string, heard []broker.Change) []string {
	if members == nil || len(heard) == 0 {
		return members
	}
	members = slices.Clone(members) // the broker may have given it to others, too
	for _, ch := range heard {
		var u broker.User
		if json.Unmarshal([]byte(ch.User), &u) != nil {
			continue
		}
		members = slices.DeleteFunc(members, is(u.ID))
		if ch.Joined {
			members = append(members, ch.User)
		}
	}
	return members
}

// here lists the users on this relay.
func (r *Room) here() (members []string, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.users) > MaxMembers {
		return nil, len(r.users)
	}
	members = make([]string, 0, len(r.users))
	for _, u := range r.users {
		members = append(members, u.json)
	}
	return members, len(members)
}

func (r *Room) leave(m Member) {
	id := m.User().ID
	r.mu.Lock()
	ms := r.members[m]
	if ms == nil {
		r.mu.Unlock()
		return
	}
	delete(r.members, m)
	r.ask(ms, false)
	end := len(r.list) - 1
	r.list[ms.at] = r.list[end]
	r.list[ms.at].at = ms.at
	r.list[end] = nil
	r.list = r.list[:end]
	last := r.depart(id)
	r.mu.Unlock()
	if last && !r.hub.isDraining() {
		r.part(id)
	}
	r.release()
}

// depart counts one connection of a user's less; true for the last one here. r.mu is held.
func (r *Room) depart(id string) bool {
	u := r.users[id]
	if u.connections--; u.connections > 0 {
		return false
	}
	delete(r.users, id)
	return true
}

// part tells the broker that a user has left. His next connection may enter meanwhile, and leave again: whoever spoke to the
// broker last looks again, so that it agrees in the end with who is here.
func (r *Room) part(id string) {
	for {
		r.hub.broker.Leave(r.name, id)
		u, back := r.who(id)
		if !back {
			return
		}
		_, _ = r.hub.broker.Enter(context.Background(), r.name, u) // the broker remembers it if its store is away
		if _, still := r.who(id); still {
			return
		}
	}
}

// who returns a user that is here.
func (r *Room) who(id string) (u broker.User, here bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.users[id]
	if found == nil {
		return u, false
	}
	return found.who, true
}
