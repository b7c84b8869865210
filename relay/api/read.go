package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/events"
	"setu/relay/metrics"
)

// Stored is a message as it is kept. It has data or, of a named event, event and args.
type Stored struct {
	Room   string            `json:"room"`
	Seq    uint64            `json:"seq"`
	ID     string            `json:"id"`
	From   broker.User       `json:"from"`
	At     int64             `json:"at"`
	Data   json.RawMessage   `json:"data,omitzero" required:"false"`
	Event  string            `json:"event,omitzero" required:"false"`
	Args   []json.RawMessage `json:"args,omitzero" required:"false" nullable:"false"`
	Offset string            `json:"offset"`

	Annotations *Annotations `json:"annotations,omitzero" required:"false" doc:"if there are any"`
}

// list is JSON of many T, as it came.
type list[T any] json.RawMessage

// Schema implements huma.SchemaProvider.
func (list[T]) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: r.Schema(typeOf[T](), true, "")}
}

// MarshalJSON implements json.Marshaler.
func (l list[T]) MarshalJSON() ([]byte, error) { return l, nil }

type historyInput struct {
	Room   string `path:"room"`
	Before string `query:"before" doc:"an offset of the room: what is older than that message; by default the newest"`
	Limit  int    `query:"limit" minimum:"1" maximum:"256" default:"100"`
}

type historyOutput struct {
	Body struct {
		Messages list[Stored] `json:"messages" doc:"oldest first; fewer than limit if they are large (4 MiB, 10 binary values)"`
		More     bool         `json:"more" doc:"older ones are kept: ask before the first one's offset"`
	}
}

type roomsInput struct {
	Cursor string `query:"cursor" doc:"what the page before this one has said"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"about so many: a page may have some more, or fewer"`
}

// RoomCount is how many users are in a room.
type RoomCount struct {
	Room  string `json:"room"`
	Count int    `json:"count" doc:"users, over all relays, without those who are invisible"`
}

type roomsOutput struct {
	Body struct {
		Rooms  []RoomCount `json:"rooms" nullable:"false" doc:"in no order; one that has users all the while is listed, and may be so twice"`
		Cursor string      `json:"cursor,omitzero" required:"false" doc:"for the next page; after the last there is none"`
	}
}

type membersInput struct {
	Room string `path:"room"`
}

type membersOutput struct {
	Body struct {
		Count   int                `json:"count"`
		Members *list[broker.User] `json:"members,omitzero" required:"false" doc:"if they are no more than 1,000"`
	}
}

type sessionsInput struct {
	ID string `path:"id"`
}

type sessionsOutput struct {
	Body struct {
		Sessions  []events.SessionInfo `json:"sessions" nullable:"false"`
		Unreached int                  `json:"unreached,omitzero" required:"false" doc:"live relays that have not answered: there may be more sessions"`
	}
}

func (a *API) registerRead() {
	get := func(op metrics.Operation, id, path, summary, about string) huma.Operation {
		return a.of(operation{op, id, Read, http.MethodGet, path, summary, about, http.StatusOK, 0})
	}
	huma.Register(a.huma, get(metrics.OperationHistory, "history", "rooms/{room}/messages", "Read a room's messages",
		"A page of what is kept of the room, at most 256 messages."), a.history)
	huma.Register(a.huma, get(metrics.OperationRooms, "rooms", "rooms", "List rooms",
		"Rooms in which somebody is, with how many."), a.rooms)
	huma.Register(a.huma, get(metrics.OperationMembers, "members", "rooms/{room}/members", "List who is in a room", "Users, each once."), a.members)
	huma.Register(a.huma, get(metrics.OperationSessions, "sessions", "users/{id}/sessions", "List a user's sessions",
		"Those that are connected now, over all relays, at most 1,000 of each."), a.sessions)
}

func (a *API) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	page, err := a.root.History(ctx, in.Room, in.Before, in.Limit)
	if err != nil {
		return nil, problemOf(err)
	}
	out := &historyOutput{}
	out.Body.Messages, out.Body.More = list[Stored](page.Messages), page.More
	return out, nil
}

func (a *API) rooms(ctx context.Context, in *roomsInput) (*roomsOutput, error) {
	some, next, err := a.store.Rooms(ctx, in.Cursor, in.Limit)
	if err != nil {
		return nil, problemOf(err)
	}
	out := &roomsOutput{}
	out.Body.Rooms, out.Body.Cursor = make([]RoomCount, len(some)), next
	for i, r := range some {
		out.Body.Rooms[i] = RoomCount(r)
	}
	return out, nil
}

func (a *API) members(ctx context.Context, in *membersInput) (*membersOutput, error) {
	users, count, err := a.root.Members(ctx, in.Room)
	if err != nil {
		return nil, problemOf(err)
	}
	out := &membersOutput{}
	out.Body.Count = count
	if users != nil || count == 0 {
		all := []byte{'['}
		for i, u := range users {
			if i > 0 {
				all = append(all, ',')
			}
			all = append(all, u...)
		}
		members := list[broker.User](append(all, ']'))
		out.Body.Members = &members
	}
	return out, nil
}

func (a *API) sessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	if err := checkID(in.ID); err != nil {
		return nil, err
	}
	found, outcome, err := a.root.Sessions(ctx, events.Target{User: in.ID})
	if err != nil && outcome.Answered == 0 {
		return nil, problemOf(err)
	}
	out := &sessionsOutput{}
	out.Body.Sessions, out.Body.Unreached = append([]events.SessionInfo{}, found...), outcome.Unreached
	return out, nil
}
