package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

// The lobby is for applications without a server of their own: every connection is in it from CONNECT on,
// and what a client emits under a name of LOBBY_EVENTS is heard there under that name, with the
// arguments as they came.

// LobbyEvents are the names that clients may emit by themselves. The zero value has none.
type LobbyEvents struct {
	byName map[string]lobbyRule
	others *lobbyRule // of all other names; nil: they are unknown
}

// lobbyRule is what becomes of an event.
type lobbyRule struct {
	others   bool // its sender does not hear it
	volatile bool // it is a signal, which nobody stores
	rooms    bool // it goes to the rooms that its sender is in, and not to the lobby
}

// anyEvent stands for all names that are not listed.
const anyEvent = "*"

// ParseLobbyEvents reads LOBBY_EVENTS: names, each perhaps with = and words with + between them.
func ParseLobbyEvents(list []string) (out LobbyEvents, err error) {
	var wrong []error
	for _, item := range list {
		name, words, has := strings.Cut(strings.TrimSpace(item), "=")
		name = strings.TrimSpace(name)
		rule, err := parseRule(words, has)
		if err == nil && name != anyEvent {
			err = room.CheckEvent(name)
		}
		if _, again := out.byName[name]; again || name == anyEvent && out.others != nil {
			err = errors.New("it is there twice")
		}
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%q: %w", item, err))
		case name == anyEvent:
			out.others = &rule
		default:
			if out.byName == nil {
				out.byName = map[string]lobbyRule{}
			}
			out.byName[name] = rule
		}
	}
	return out, errors.Join(wrong...)
}

func parseRule(words string, has bool) (rule lobbyRule, err error) {
	if !has {
		return rule, nil
	}
	for _, word := range strings.Split(words, "+") {
		switch strings.TrimSpace(word) {
		case "others":
			rule.others = true
		case "volatile":
			rule.volatile = true
		case "rooms":
			rule.rooms = true
		default:
			return rule, fmt.Errorf("what follows = is others, volatile or rooms, or more of them with + between, not %q", word)
		}
	}
	return rule, nil
}

// NeedLobby reports whether an event goes to the lobby, so that there has to be one.
func (l LobbyEvents) NeedLobby() bool {
	for _, rule := range l.byName {
		if !rule.rooms {
			return true
		}
	}
	return l.others != nil && !l.others.rooms
}

// of returns what becomes of an event, if clients may emit it.
func (l LobbyEvents) of(name string) (rule lobbyRule, ok bool) {
	if rule, ok = l.byName[name]; !ok && l.others != nil {
		return *l.others, true
	}
	return rule, ok
}

// kind is what such events are limited as.
func (rule lobbyRule) kind() limit.Kind {
	if rule.volatile {
		return limit.Signal
	}
	return limit.Publish
}

// handle answers a batch of events of one name.
func (rule lobbyRule) handle(ctx context.Context, c *connection, batch []namespace.Event) {
	if rule.volatile {
		perEvent(limit.Signal, rule.signal)(ctx, c, batch)
		return
	}
	if !c.WaitLowWater(ctx) {
		return // the session ended
	}
	var pubs []broker.Publication
	var asked []lobbyEvent
	for _, e := range batch {
		more, err := rule.publications(ctx, c, e)
		if err != nil {
			c.root.metrics.Publishes.Of(metrics.PublishRefused).Inc()
			c.fail(e, err)
			continue
		}
		if len(more) > 0 {
			pubs, asked = append(pubs, more...), append(asked, lobbyEvent{e, len(more)})
		}
	}
	if len(pubs) == 0 {
		return
	}
	receipts := c.root.hub.Publish(ctx, pubs...)
	for _, a := range asked {
		c.answerPublications(a.event, pubs[:a.rooms], receipts[:a.rooms])
		pubs, receipts = pubs[a.rooms:], receipts[a.rooms:]
	}
}

// lobbyEvent is an event that goes to so many rooms.
type lobbyEvent struct {
	event namespace.Event
	rooms int
}

// publications returns what is to be stored of an event, in each room that it goes to. There is nothing
// if that is more than the client may publish, which it has been told then.
func (rule lobbyRule) publications(ctx context.Context, c *connection, e namespace.Event) ([]broker.Publication, error) {
	if !c.spend(limit.Publish, e) {
		c.root.metrics.Publishes.Of(metrics.PublishRateLimited).Inc()
		return nil, nil
	}
	rooms, ev, err := rule.read(c, e, auth.Publish)
	if err != nil {
		return nil, err
	}
	if !c.spendMore(limit.Publish, e, len(rooms)-1) {
		c.root.metrics.Publishes.Of(metrics.PublishRateLimited).Inc()
		return nil, nil
	}
	out := make([]broker.Publication, len(rooms))
	for i, name := range rooms {
		id := newPublishID()
		out[i] = broker.Publication{Room: name, User: c.User().ID, ID: id}
		if out[i].Body, err = c.eventBody(id, ev, e.Attachments); err != nil {
			return nil, err
		}
	}
	return out, c.askPublishes(ctx, e, out, !rule.others)
}

// spendMore is spend for so many.
func (c *connection) spendMore(k limit.Kind, e namespace.Event, n int) bool {
	for range n {
		if !c.spend(k, e) {
			return false
		}
	}
	return true
}

// read returns the rooms that an event goes to, and the event as it came, to be heard by others.
func (rule lobbyRule) read(c *connection, e namespace.Event, right auth.Rights) ([]string, room.Event, error) {
	out := room.Event{Name: e.Name, Args: slices.Clone(e.Args)}
	if rule.others {
		out.Except = c.id
	}
	for i, a := range out.Args {
		var err error
		if out.Args[i], err = canonical(a, e.Attachments); err != nil {
			return nil, out, err
		}
	}
	rooms, err := rule.targets(c, right)
	return rooms, out, err
}

// targets returns the rooms that an event goes to: those in which its sender is and has the right.
func (rule lobbyRule) targets(c *connection, right auth.Rights) (rooms []string, err error) {
	all := []string{c.root.lobby}
	if rule.rooms {
		all = c.rooms
	}
	err = notJoined()
	for _, name := range all {
		if lacks := c.may(name, right); lacks != nil {
			err = lacks
		} else if c.in(name) {
			rooms = append(rooms, name)
		}
	}
	if len(rooms) > 0 {
		err = nil
	}
	return rooms, err
}

// signal sends an event that nobody stores.
func (rule lobbyRule) signal(_ context.Context, c *connection, e namespace.Event) error {
	rooms, ev, err := rule.read(c, e, auth.Signal)
	if err != nil {
		return err
	}
	body, err := c.eventSignalBody(ev, e.Attachments)
	if err != nil {
		return err
	}
	if !c.spendMore(limit.Signal, e, len(rooms)-1) { // the first has been paid for
		return nil
	}
	for _, name := range rooms {
		c.root.hub.Signal(name, ev.Except, body)
	}
	c.ack(e, struct {
		OK   bool   `json:"ok"`
		Room string `json:"room"`
	}{true, rooms[0]})
	return nil
}

// answerPublications answers an event that was stored in some rooms: as a publish of the first and, if
// there are more, with the receipts of all. It failed if it failed in one of them.
func (c *connection) answerPublications(e namespace.Event, pubs []broker.Publication, receipts []broker.Receipt) {
	all := make([]published, len(pubs))
	for i, rc := range receipts {
		if rc.Err != nil {
			c.answerFailure(e, failure{Room: pubs[i].Room, ID: pubs[i].ID, Error: faultOf(rc.Err)})
			return
		}
		all[i] = publishedAs(pubs[i], rc)
	}
	if len(all) == 1 {
		c.ack(e, all[0])
		return
	}
	c.ack(e, struct {
		published
		Rooms []published `json:"rooms"`
	}{all[0], all})
}
