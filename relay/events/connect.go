package events

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	jsonv2 "github.com/go-json-experiment/json"

	"setu/relay/auth"
	"setu/relay/limit"
	"setu/relay/namespace"
	"setu/relay/room"
)

// A client may name rooms in its CONNECT, and the relay may have a lobby: both are joined before
// anything that the client sends is handled, and so before what it emitted while it was away, which
// stock clients send right after their CONNECT. The welcome has the answers.

// askedRoom is one of the rooms that a CONNECT names.
type askedRoom struct {
	in  joinRequest
	o   room.JoinOptions
	err error // why it is not joined

	joined room.Joined
}

// answers are what the welcome says of the rooms that a client joined by connecting.
type answers struct {
	asked bool // the client named rooms
	rooms []askedRoom
}

// surplusRooms is how many rooms more than a connection may be in are answered, each that it is refused.
const surplusRooms = 100

// readRooms reads the rooms that a CONNECT names. What is no list of them is answered like one bad join.
func (root *Root) readRooms(text json.RawMessage) (out []askedRoom) {
	var items []json.RawMessage
	if err := jsonv2.Unmarshal(text, &items, verbatim); err != nil {
		return []askedRoom{{err: badRequest("rooms must be a list of names and of objects as join takes them")}}
	}
	items = items[:min(len(items), root.maxRooms+surplusRooms)]
	named := map[string]bool{}
	for i := range items {
		var a askedRoom
		a.err = decodeName(namespace.Event{Name: "join", Args: items[i : i+1]}, &a.in, &a.in.Room)
		switch {
		case a.err != nil:
			a.in.Room = "" // it may be no name
		case named[a.in.Room]:
			a.err = badRequest("rooms names this room twice")
		}
		named[a.in.Room] = true
		out = append(out, a)
	}
	return out
}

// enterRooms joins the rooms that the CONNECT names, and the lobby. What comes of any room must be held
// until the answers are on their way. resumed says that the session was in its rooms already. An error
// means that the lobby can't be joined now.
func (c *connection) enterRooms(ctx context.Context, who identity, resumed bool) (a answers, err error) {
	if a.asked = isThere(who.rooms); a.asked {
		a.rooms = c.root.readRooms(who.rooms)
	} else if c.root.lobby == "" {
		return a, nil // as mostly
	}
	c.checkRooms(ctx, a.rooms, resumed)
	lobby := askedRoom{in: joinRequest{Room: c.root.lobby}}
	all := make([]*askedRoom, 0, len(a.rooms)+1)
	for i := range a.rooms {
		all = append(all, &a.rooms[i])
	}
	if c.needsLobby(a.rooms) {
		all = append(all, &lobby)
	}
	c.enterAsked(ctx, all)
	for _, r := range all {
		if r.err == nil && !c.in(r.in.Room) {
			c.rooms = append(c.rooms, r.in.Room)
		}
	}
	if lobby.err != nil && faultOf(lobby.err).Code == codeUnavailable && ctx.Err() == nil {
		return a, lobby.err
	}
	return a, nil
}

// needsLobby reports whether the client is to join the lobby without having asked for it.
func (c *connection) needsLobby(rooms []askedRoom) bool {
	name := c.root.lobby
	if name == "" || c.in(name) || c.may(name, auth.Join) != nil {
		return false
	}
	return !slices.ContainsFunc(rooms, func(r askedRoom) bool { return r.err == nil && r.in.Room == name })
}

// checkRooms refuses those of the rooms that a join would refuse.
func (c *connection) checkRooms(ctx context.Context, rooms []askedRoom, resumed bool) {
	n := len(c.rooms)
	for i := range rooms {
		r := &rooms[i]
		if r.err != nil {
			continue
		}
		if f, _ := c.take(limit.Join); f != nil {
			r.err = f
			continue
		}
		if r.o, r.err = c.joinOptions(r.in); r.err != nil {
			continue
		}
		if r.o.Again = resumed && c.in(r.in.Room); c.in(r.in.Room) {
			continue
		}
		if n >= c.root.maxRooms {
			r.err = c.root.tooManyRooms()
			continue
		}
		var app said
		if app, r.err = c.mayJoin(ctx, r.in.Room); r.err == nil {
			c.app.later = append(c.app.later, app)
			n++
		}
	}
}

// enterAsked enters those of the rooms that are not refused, some at a time. Of their messages no more
// are kept than one packet takes.
func (c *connection) enterAsked(ctx context.Context, rooms []*askedRoom) {
	slots := make(chan struct{}, resumeAtOnce)
	var all sync.WaitGroup
	var bytes atomic.Int64
	for i, r := range rooms {
		if r.err != nil {
			continue
		}
		enter := func() {
			r.err = c.enter(ctx, r.in.Room, r.o, func(j room.Joined) {
				if bytes.Add(int64(j.Weight())) > room.MaxReplay {
					j = j.WithoutMessages()
				}
				r.joined = j
			})
		}
		if i == len(rooms)-1 { // mostly the only one
			enter()
			break
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			enter()
		})
	}
	all.Wait()
}

// welcomeText is what the welcome says of a, as members of its object, each after a comma; attachments
// follow it.
func (c *connection) welcomeText(a answers) (text []byte, attachments [][]byte) {
	if c.root.lobby != "" && c.in(c.root.lobby) {
		text = fmt.Appendf(text, `,"lobby":%s`, nameText(c.root.lobby))
	}
	if !a.asked {
		return text, nil
	}
	joins := make([]room.Joined, len(a.rooms))
	for i, r := range a.rooms {
		joins[i] = r.joined
	}
	room.FitTogether(joins)
	text = append(text, `,"joined":[`...)
	for i, r := range a.rooms {
		if i > 0 {
			text = append(text, ',')
		}
		if r.err != nil {
			f := faultOf(r.err)
			c.root.countRefused(f.Code)
			body, _ := json.Marshal(failure{Room: r.in.Room, Error: f}) // strings, a bool and a number
			text = append(text, body...)
			continue
		}
		text = joins[i].Append(text, r.in.Room, len(attachments))
		attachments = append(attachments, joins[i].Attachments()...)
	}
	return append(text, ']'), attachments
}
