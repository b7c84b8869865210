package chat

import "slices"

// maxUnderWay bounds the messages of a room that are sent and not answered.
const maxUnderWay = 64

// Outbox is the order in which a room's messages are sent. They don't wait for one another's answers; what
// comes back without one is sent again in its old place, so nothing more goes out until the others under
// way have come back, too.
type Outbox struct {
	queued   []string // ids of messages that are not answered, in order
	underWay map[string]bool
	held     bool // some have come back, and others are still under way
}

// Add adds a message at the end.
func (o *Outbox) Add(id string) { o.queued = append(o.queued, id) }

// Next returns the message to send now, which is under way from then on; ok is false if there is none.
// Those that are no longer pending are dropped.
func (o *Outbox) Next(pending func(id string) bool) (id string, ok bool) {
	if o.held || len(o.underWay) >= maxUnderWay {
		return "", false
	}
	o.queued = slices.DeleteFunc(o.queued, func(id string) bool { return !o.underWay[id] && !pending(id) })
	for _, id := range o.queued {
		if o.underWay[id] {
			continue
		}
		if o.underWay == nil {
			o.underWay = make(map[string]bool)
		}
		o.underWay[id] = true
		return id, true
	}
	return "", false
}

// Answered removes a message that was stored or refused.
func (o *Outbox) Answered(id string) {
	o.queued = slices.DeleteFunc(o.queued, func(q string) bool { return q == id })
	o.landed(id)
}

// Returned puts a message back that has had no answer.
func (o *Outbox) Returned(id string) {
	if o.underWay[id] {
		o.held = true
		o.landed(id)
	}
}

func (o *Outbox) landed(id string) {
	delete(o.underWay, id)
	o.held = o.held && len(o.underWay) > 0
}

// Held reports whether messages that have come back wait for others under way.
func (o *Outbox) Held() bool { return o.held }

// Restart has all messages sent anew, over another connection: what comes of the former one does not
// count.
func (o *Outbox) Restart() { o.underWay, o.held = nil, false }
