//go:build js && wasm

package main

import (
	"encoding/json"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// The model has its own types, so that it does not depend on the protocol. These functions convert
// from those of package client.

func user(u client.User) chat.User {
	out := chat.User{ID: u.ID, Name: chat.Shown(u.Name), Guest: u.Guest}
	if u.Places == "" {
		out.At = chat.At(chat.Place{Region: u.Region, Relay: u.Relay})
		return out
	}
	for _, p := range u.Places.All() {
		out.At += chat.At(chat.Place{Region: p.Region, Relay: p.Relay})
	}
	return out
}

func users(list []client.User) []chat.User {
	out := make([]chat.User, len(list))
	for i, u := range list {
		out[i] = user(u)
	}
	return out
}

func message(m client.Message) chat.Message {
	out := chat.Message{Seq: m.Seq, ID: m.ID, From: user(m.From), At: m.At, Data: m.Data, Offset: m.Offset, Attachments: m.Attachments,
		Annotations: annotations(m.Annotations)}
	if m.Event != "" { // another application's: it has its place, and is shown as what it says
		out.Data, _ = json.Marshal(map[string]any{"event": m.Event, "args": m.Args}) // a string, and JSON that was read
	}
	return out
}

func annotations(n client.Annotations) chat.Annotations {
	out := chat.Annotations{Rev: n.Rev, Deleted: n.Deleted}
	if n.Edited != nil {
		out.EditedAt = n.Edited.At
	}
	for value, r := range n.Reactions {
		out.Reactions = append(out.Reactions, chat.Reaction{Value: value, Count: r.Count, Me: r.Me})
	}
	chat.SortReactions(out.Reactions)
	return out
}

func annotation(a client.Annotation) chat.Annotation {
	out := chat.Annotation{Offset: a.Offset, By: a.From.ID, At: a.At, Rev: a.Rev, Value: a.Reaction(), Remove: a.Remove, Count: a.Count}
	switch a.Kind {
	case client.Reaction:
		out.Kind = chat.ReactionGiven
	case client.Edit:
		out.Kind, out.Data, out.Attachments = chat.MessageEdited, a.Value, a.Attachments
	case client.Delete:
		out.Kind = chat.MessageDeleted
	}
	return out
}

func messages(list []client.Message) []chat.Message {
	out := make([]chat.Message, len(list))
	for i, m := range list {
		out[i] = message(m)
	}
	return out
}

// listOf returns the list of members, or nil if the room is too large for one.
func listOf(members []client.User, count int) []chat.User {
	if len(members) == 0 && count > 0 {
		return nil
	}
	return users(members)
}
