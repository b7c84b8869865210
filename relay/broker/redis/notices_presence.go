package redis

import (
	"maps"

	"setu/relay/broker"
)

// onlineRoom is the room of all who are connected, if notices are written: presence in it is recorded, and
// taken out by the lease, as in any other. No client's room has a control character in its name.
const onlineRoom = "\x01online"

// Online implements broker.Broker.
func (b *Broker) Online(user broker.User) {
	if b.notices.on {
		b.presence.enter(place{onlineRoom, user.ID}, user.Text())
	}
}

// Offline implements broker.Broker.
func (b *Broker) Offline(userID string) {
	if b.notices.on {
		b.presence.leave(place{onlineRoom, userID})
	}
}

// enterScript and leaveScript are those that write notices as well, if any are to be written.
func (b *Broker) enterScript() script {
	if b.notices.on {
		return enterNoticing
	}
	return enterScript
}

func (b *Broker) leaveScript() script {
	if b.notices.on {
		return leaveNoticing
	}
	return leaveScript
}

// keyNumbers gives a call the keys of the notices, if any are to be written, and numbers those that follow.
func (n *notices) keyNumbers(do *call) keyNumbers {
	keys := keyNumbers{}
	if n.on {
		for _, key := range n.b.keys.notices {
			keys.of(do, key)
		}
	}
	return keys
}

// setNoticed notes that Redis has recorded a user. p.mu is held.
func (p *presence) setNoticed(at place) {
	if w, here := p.want[at]; here && p.b.cfg.Notices.On && !w.noticed {
		w.noticed = true
		p.want[at] = w
	}
}

// part notes that a user leaves who has been recorded. If Redis loses that before it is written, the leave
// has to say it. p.mu is held.
func (p *presence) part(at place) {
	if w := p.want[at]; w.noticed {
		p.parted[at] = w.text
	}
}

// takeParted returns the JSON of a user who leaves, for a write. p.mu is held.
func (p *presence) takeParted(at place) string {
	text := p.parted[at]
	delete(p.parted, at)
	return text
}

// giveBackParted notes that a write failed. p.mu is held.
func (p *presence) giveBackParted(s step) {
	if _, back := p.want[s.key]; s.parted != "" && !back {
		p.parted[s.key] = s.parted
	}
}

// allParted returns the JSON of all who were recorded, if they are to be noticed: of those who are here, since
// they may leave before another life has recorded them. p.mu is held.
func (p *presence) allParted() map[place]string {
	if !p.b.cfg.Notices.On {
		return nil
	}
	all := maps.Clone(p.parted)
	for at, w := range p.want {
		if w.noticed {
			all[at] = w.text
		}
	}
	return all
}
