package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// Bounds of what is held back while the streams are read, or a room is loaded.
const (
	holdMessages = 16384
	holdBytes    = 32 << 20
	maxHeard     = 1024 // changes of who is in a room that is loaded
)

// heldMessage is a message that is held back; old says that Redis has been asked for it since.
type heldMessage struct {
	m   broker.Message
	old bool
}

// hold keeps messages back, within bounds; past them it keeps none and says so.
type hold struct {
	messages []heldMessage
	bytes    int
	over     bool
}

func (h *hold) add(m broker.Message) {
	if h.over || len(h.messages) >= holdMessages || h.bytes+sizeOf(m) > holdBytes {
		*h = hold{over: true}
		return
	}
	h.messages = append(h.messages, heldMessage{m: m})
	h.bytes += sizeOf(m)
}

// sizeOf is about how many bytes a message takes.
func sizeOf(m broker.Message) int {
	if m.Note != nil {
		return len(m.Note.About) + len(m.Note.Body)
	}
	return len(m.Body)
}

// age notes that Redis is asked for all that is held.
func (h *hold) age() {
	h.over = false
	for i := range h.messages {
		h.messages[i].old = true
	}
}

// take returns what is held up to a position, and holds it no more.
func (h *hold) take(to uint64) (some []heldMessage) {
	h.messages = slices.DeleteFunc(h.messages, func(held heldMessage) bool {
		if held.m.Pos > to {
			return false
		}
		some = append(some, held)
		h.bytes -= sizeOf(held.m)
		return true
	})
	return some
}

// receive takes one push of Redis, on the connection's reader: it must not wait for anything.
func (f *feed) receive(session int, push rueidis.PubSubMessage) {
	if push.Channel == f.channel {
		f.receivePrivate(session, push.Message)
		return
	}
	if push.Channel == f.b.keys.revocations {
		f.b.revoked.receive(push.Message)
		return
	}
	if push.Channel == f.b.keys.commands {
		f.b.commands.receive(push.Message)
		return
	}
	room, ok := f.b.keys.room(push.Channel)
	if !ok || push.Message == "" {
		return
	}
	kind, text := push.Message[0], push.Message[1:]
	if kind == 'm' {
		m, err := parsePush(room, text)
		if err != nil {
			f.b.log.Error("a message on a room's channel that no relay wrote", "room", room, "error", err)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if s := f.rooms[room]; s != nil && session == f.session {
			f.arrive(s, m)
		}
		return
	}
	head, rest, _ := strings.Cut(text, " ")
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.rooms[room]
	if s == nil || s.loading && kind == 's' || session != f.session {
		return
	}
	switch kind {
	case 's':
		if f.revoked {
			s.sub.Signal(broker.Signal{Sender: head, Body: rest})
		}
	case 'j', 'l', 'r', 'w':
		count, _ := strconv.Atoi(head)
		ch := broker.Change{Joined: kind == 'j', Renamed: kind == 'r' || kind == 'w', Moved: kind == 'w', Count: count, User: f.places.asHeard(rest), After: f.after}
		if kind == 'r' {
			f.b.presence.renamed(room, broker.CutPlaces(rest))
		}
		f.b.presence.hear(room, ch)
		switch {
		case !f.revoked: // who is there is told when it is known
		case !s.loading:
			s.sub.Presence(ch)
		case len(s.heard) < maxHeard:
			s.heard = append(s.heard, ch)
		}
	}
}

// confirm notes that Redis has taken a subscription. Who is in the room is read after that: changes that
// were pushed before, over a subscription that this relay has left since, may lack others between.
func (f *feed) confirm(session int, is rueidis.PubSubSubscription) {
	room, ok := f.b.keys.room(is.Channel)
	if !ok || is.Kind != "subscribe" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.rooms[room]; s != nil && s.loading && session == f.session {
		s.heard = nil
	}
}

// arrive delivers m, or holds it back. f.mu is held.
func (f *feed) arrive(s *subscription, m broker.Message) {
	switch {
	case f.isFormer(m.Epoch):
		f.drop()
	case f.phase != live:
		f.held.add(m)
	case s.loading:
		s.held.add(m)
	case !f.advance(s, m):
		f.held.add(m)
		f.requestCatchUp()
	}
}

// advance delivers m if it continues what s has, drops it if s had it already, and else reports
// that something is missing. f.mu is held.
func (f *feed) advance(s *subscription, m broker.Message) bool {
	if m.Epoch == s.tail.Epoch && m.Pos <= s.tail.Pos {
		return true
	}
	if !m.Follows(s.tail) {
		return false
	}
	if m.Epoch != s.tail.Epoch {
		s.recent = recent{}
	}
	s.tail, s.tailAt = m.Offset(), m.At
	s.recent.add(m)
	s.noteSize(m)
	f.pos = max(f.pos, m.Pos)
	s.sub.Deliver(m)
	return true
}

// noteSize takes note of a message that is large, or an annotation: the bare command does not tell how those
// stand. f.mu is held.
func (s *subscription) noteSize(m broker.Message) {
	switch {
	case m.Note != nil:
		s.big = annotated
	case len(m.Body) >= largeBody:
		s.big = max(s.big, m.Seq)
	}
}

// isFormer reports whether the feed has left an epoch. f.mu is held.
func (f *feed) isFormer(epoch string) bool {
	return epoch != f.epoch && slices.Contains(f.former, epoch)
}

// hasLeft reports whether the feed has left an epoch. If Redis is in it again, it has lost that it was
// left, and whatever came since: somebody who was away then would take what comes next in it for what
// followed.
func (f *feed) hasLeft(epoch string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.isFormer(epoch)
}

// drop lets go of a message that can't follow: it is of a former epoch, or of a position that Redis
// does not know. f.mu is held.
func (f *feed) drop() { f.dropped++ }

// tellDropped logs what was dropped since the last time.
func (f *feed) tellDropped() {
	f.mu.Lock()
	n := f.dropped
	f.dropped = 0
	f.mu.Unlock()
	if n > 0 {
		f.b.log.Warn("dropped messages that Redis pushed and does not hold: of a former epoch, or written by no relay", "messages", n)
	}
}

// parsePush reads "<epoch> <pos> <seq> <at> <prev> <digest> <body>".
func parsePush(room, text string) (broker.Message, error) {
	f := strings.SplitN(text, " ", 4)
	if len(f) != 4 {
		return broker.Message{}, fmt.Errorf("not a message: %.80q", text)
	}
	return parseEntry(room, f[0], f[1]+"-"+f[2], f[3])
}
