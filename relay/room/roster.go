package room

import (
	"encoding/json"

	"setu/relay/broker"
)

// roster is who is in a room: the users on this relay, how many there are over all relays, and
// what has changed that members have yet to be told. It has no lock and does no I/O: Room.mu
// guards it, so that a user and the user's memberships change in one step.
type roster struct {
	users   map[string]*localUser // on this relay, by id
	count   int                   // users over all relays, as last heard
	asking  int                   // memberships that asked for presence
	pending changes               // heard, and not yet sent to those who asked
	log     changeLog             // heard while somebody reads from the broker who is here
	missed  int                   // times that changes were missed; 0 while no refresh is under way
}

// localUser is a user with at least one connection on this relay that is in the room.
type localUser struct {
	connections int
	user        broker.User
	json        string // of user, as lists have it
	heard       string // as the broker last told it to somebody who asked; empty if it has not
}

func newRoster() roster { return roster{users: map[string]*localUser{}} }

// enter notes that u is here, over one more connection unless again is set. text is u as JSON.
// The newest entry says what the user is called.
func (r *roster) enter(u broker.User, text string, again bool) {
	here := r.users[u.ID]
	if here == nil {
		here = &localUser{}
		r.users[u.ID] = here
	}
	here.user, here.json = u, text
	if !again {
		here.connections++
	}
}

// leave takes one connection from a user, who is returned as JSON. It reports whether that was the last
// one here.
func (r *roster) leave(id string) (text string, last bool) {
	u := r.users[id]
	if u.connections--; u.connections > 0 {
		return u.json, false
	}
	delete(r.users, id)
	return u.json, true
}

// lookup returns a user that is on this relay.
func (r *roster) lookup(id string) (u broker.User, here bool) {
	found := r.users[id]
	if found == nil {
		return broker.User{}, false
	}
	return found.user, true
}

// localUsers returns the JSON of the users on this relay, or their count alone if they are too
// many to list.
func (r *roster) localUsers() (users []string, count int) {
	if len(r.users) > MaxMembers {
		return nil, len(r.users)
	}
	users = make([]string, 0, len(r.users))
	for _, u := range r.users {
		users = append(users, u.json)
	}
	return users, len(users)
}

// withLocal adds to a list the users on this relay that it lacks: who is here is in the room, whatever
// is still on its way to the broker or back. Nil stays nil: too many to list.
func (r *roster) withLocal(users []string) []string {
	if users == nil || len(users) >= MaxMembers {
		return users
	}
	here := 0
	for _, text := range users {
		if r.users[broker.UserID(text)] != nil {
			here++
		}
	}
	if here == len(r.users) { // as it mostly is
		return users
	}
	listed := make(map[string]bool, len(users))
	for _, text := range users {
		listed[broker.UserID(text)] = true
	}
	users = users[:len(users):len(users)]
	for id, u := range r.users {
		if !listed[id] {
			users = append(users, u.json)
		}
	}
	return users
}

// total is how many users the room has. What was last heard may be older than what is here.
func (r *roster) total() int { return max(r.count, len(r.users)) }

// ask notes whether a member wants to hear who comes and goes.
func (r *roster) ask(m *membership, presence bool) {
	if m.presence {
		r.asking--
	}
	if m.presence = presence; presence {
		r.asking++
	}
}

// hear takes in a change that the broker tells. It reports whether there is news to send, and
// whether the user, who is returned, is on this relay and was renamed.
func (r *roster) hear(ch broker.Change) (u broker.User, news, renamed bool) {
	r.count = ch.Count
	r.log.add(ch)
	if r.asking == 0 && !ch.Renamed {
		return broker.User{}, false, false
	}
	u, err := parseUser(ch.User)
	if err != nil {
		return broker.User{}, false, false // no relay writes this
	}
	was := ""
	if here := r.users[u.ID]; here != nil {
		if was, here.heard = here.heard, ch.User; ch.Renamed {
			here.rename(u)
			renamed = true
		}
	}
	if r.asking > 0 {
		r.pending.add(u.ID, ch, was)
	}
	return u, r.asking > 0, renamed
}

// rename takes over what a user who is on this relay is called. That the user may be elsewhere, too, makes
// no difference here.
func (here *localUser) rename(u broker.User) {
	u.Place = here.user.Place
	here.user, here.json = u, u.Text()
}

func parseUser(text string) (u broker.User, err error) {
	err = json.Unmarshal([]byte(text), &u)
	return u, err
}

// stale returns those of a list's users who are on this relay under another name than the list
// has: they were renamed while changes were missed.
func (r *roster) stale(users []string) (renamed []broker.User) {
	for _, text := range users {
		id := broker.UserID(text)
		here := r.users[id]
		if here == nil {
			continue
		}
		here.heard = text
		if broker.CutPlaces(here.json) == broker.CutPlaces(text) {
			continue
		}
		if u, err := parseUser(text); err == nil && u.ID == id {
			here.rename(u)
			renamed = append(renamed, u)
		}
	}
	return renamed
}

// counted takes in a count that was read from the broker, unless changes have been heard since
// the reading began: they brought counts of their own.
func (r *roster) counted(count int, heard []broker.Change) {
	if len(heard) == 0 {
		r.count = count
	}
}

// miss notes that changes have been missed. It reports whether a refresh has to begin: one that
// is under way already finds out by itself that it has to read once more.
func (r *roster) miss() bool {
	if r.asking == 0 {
		return false
	}
	r.missed++
	return r.missed == 1
}

// refresh is one reading of who is in the room, made because changes were missed.
type refresh struct {
	from   mark
	missed int // roster.missed as it began
}

func (r *roster) beginRefresh() refresh { return refresh{r.log.begin(), r.missed} }

// endRefresh returns what was heard meanwhile. It reports whether the refresh is complete; if
// changes have been missed since it began, it has to be done over.
func (r *roster) endRefresh(f refresh) (heard []broker.Change, complete bool) {
	heard, whole := r.log.end(f.from)
	if r.missed != f.missed || !whole {
		return nil, false
	}
	r.missed = 0
	return heard, true
}
