package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/events"
	"setu/relay/metrics"
)

// Emission is an event that nobody stores.
type Emission struct {
	Event string            `json:"event" doc:"a name, 1 to 200 bytes; not one of Setu's own, or Socket.IO's"`
	Args  []json.RawMessage `json:"args,omitzero" required:"false" nullable:"false" doc:"at most 254. A string at the end has null behind it: clients take it for an offset"`
}

type emitInput struct {
	ID   string `path:"id"`
	Body Emission
}

type emitRoomInput struct {
	Room string `path:"room"`
	Body Emission
}

type roomInput struct {
	ID   string `path:"id"`
	Body struct {
		Room string `json:"room"`
	}
}

type targetInput struct {
	ID string `path:"id"`
}

type nothing struct{}

// targets are what the operations about users and sessions are about.
var targets = []struct {
	path, what, suffix string
	of                 func(id string) events.Target
}{
	{"users/{id}/", "a user's sessions", "User", func(id string) events.Target { return events.Target{User: id} }},
	{"sessions/{id}/", "a session", "Session", func(id string) events.Target { return events.Target{Session: id} }},
}

const (
	aboutEmit = "Volatile: it may be lost, and that it has arrived is not known."
	aboutJoin = "The application's word counts, whatever the user's token allows: the session hears the room, is told so by joined, and stays there, over recoveries " +
		"and other tokens, until it leaves or is taken out. Who is not connected now is not joined (not_connected, if that is everybody)."
	aboutLeave      = "The session is told so by left."
	aboutDisconnect = "The session ends, and a stock client does not come back by itself; to keep a user away, revoke."
)

func (a *API) registerUsers() {
	post := func(op metrics.Operation, right Right, id, path, summary, about string, status, body int) huma.Operation {
		return a.of(operation{op, id, right, http.MethodPost, path, summary, about, status, body})
	}
	huma.Register(a.huma, post(metrics.OperationEmit, Publish, "emitRoom", "rooms/{room}/emit", "Send an event to a room", aboutEmit, http.StatusAccepted, a.cfg.MaxPayload*2+wrapping), a.emitRoom)
	for _, t := range targets {
		huma.Register(a.huma, post(metrics.OperationEmit, Publish, "emit"+t.suffix, t.path+"emit", "Send an event to "+t.what, aboutEmit, http.StatusAccepted, a.cfg.MaxPayload*2+wrapping),
			func(_ context.Context, in *emitInput) (*nothing, error) { return a.emit(t.of(in.ID), in) })
		huma.Register(a.huma, post(metrics.OperationJoin, Manage, "join"+t.suffix, t.path+"join", "Put "+t.what+" into a room", aboutJoin, http.StatusNoContent, 0),
			func(ctx context.Context, in *roomInput) (*nothing, error) {
				return a.act(in.ID, true, func() (events.Outcome, error) { return a.root.Join(ctx, t.of(in.ID), in.Body.Room) })
			})
		huma.Register(a.huma, post(metrics.OperationLeave, Manage, "leave"+t.suffix, t.path+"leave", "Take "+t.what+" out of a room", aboutLeave, http.StatusNoContent, 0),
			func(ctx context.Context, in *roomInput) (*nothing, error) {
				return a.act(in.ID, false, func() (events.Outcome, error) { return a.root.Leave(ctx, t.of(in.ID), in.Body.Room) })
			})
		huma.Register(a.huma, post(metrics.OperationDisconnect, Manage, "disconnect"+t.suffix, t.path+"disconnect", "Disconnect "+t.what, aboutDisconnect, http.StatusNoContent, 0),
			func(ctx context.Context, in *targetInput) (*nothing, error) {
				return a.act(in.ID, false, func() (events.Outcome, error) { return a.root.Disconnect(ctx, t.of(in.ID)) })
			})
	}
}

func (a *API) emit(to events.Target, in *emitInput) (*nothing, error) {
	if err := checkID(in.ID); err != nil {
		return nil, err
	}
	e, err := in.Body.content().Emission()
	if err == nil {
		err = a.root.Emit(to, e)
	}
	if err != nil {
		return nil, problemOf(err)
	}
	return nil, nil
}

func (e Emission) content() events.Content { return events.Content{Event: e.Event, Args: e.Args} }

func (a *API) emitRoom(ctx context.Context, in *emitRoomInput) (*nothing, error) {
	if err := a.root.EmitTo(in.Room, events.AppUser(askedOf(ctx).key.Name), in.Body.content()); err != nil {
		return nil, problemOf(err)
	}
	return nil, nil
}

// act does something with sessions, of which some have to be there.
func (a *API) act(id string, some bool, do func() (events.Outcome, error)) (*nothing, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	switch out, err := do(); {
	case err != nil && out.Unreached > 0:
		p := newProblem(codeUnavailable, fmt.Sprintf("it is done with %d sessions; %d live relays have not said that they did", out.Done, out.Unreached))
		p.Retry = retryAfter.Milliseconds()
		return nil, p
	case err != nil:
		return nil, problemOf(err)
	case out.Refused != "":
		p := newProblem(codeFull, fmt.Sprintf("it is done with %d of %d sessions: of the others one is in as many rooms as it may be, or the room is full (%s)", out.Done, out.Sessions, out.Refused))
		return nil, p
	case some && out.Sessions == 0:
		return nil, newProblem(codeNotConnected, "no session of that id is connected")
	}
	return nil, nil
}

// checkID returns a problem if nobody can have an id.
func checkID(id string) error {
	if id == "" || len(id) > broker.MaxRevokedID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return newProblem(codeBadRequest, "an id has 1 to 256 bytes of UTF-8, and no control characters")
	}
	return nil
}
