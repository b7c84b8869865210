package events

import (
	"sync"

	"setu/relay/broker"
)

// online tells the store who is connected to this relay.
type online struct {
	store broker.Notices // nil: nobody asks

	mu       sync.Mutex // guards what follows; held while the store is told, which never blocks
	users    map[string]*onlineUser
	draining bool
}

type onlineUser struct {
	connections int
	user        broker.User // as the store was told
}

func newOnline(store broker.Notices) *online {
	return &online{store: store, users: map[string]*onlineUser{}}
}

// enter notes that a user has one connection more.
func (o *online) enter(u broker.User) {
	if o.store == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	is := o.users[u.ID]
	if is == nil {
		is = &onlineUser{}
		o.users[u.ID] = is
	}
	is.connections++
	if is.user != u {
		is.user = u
		o.store.Online(u)
	}
}

// leave notes that a user has one connection less. When the relay drains, the broker's Close says of all that
// they are gone, once those that come back elsewhere have done so.
func (o *online) leave(id string) {
	if o.store == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	is := o.users[id]
	if is.connections--; is.connections > 0 {
		return
	}
	delete(o.users, id)
	if !o.draining {
		o.store.Offline(id)
	}
}

func (o *online) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.draining = true
}
