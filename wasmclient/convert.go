//go:build js && wasm

package main

import (
	"setu/relay/client"
	"setu/wasmclient/chat"
)

// The model has its own types, so that it does not depend on the protocol. These functions convert
// from those of package client.

func user(u client.User) chat.User {
	return chat.User{ID: u.ID, Name: chat.Shown(u.Name), Guest: u.Guest}
}

func users(list []client.User) []chat.User {
	out := make([]chat.User, len(list))
	for i, u := range list {
		out[i] = user(u)
	}
	return out
}

func message(m client.Message) chat.Message {
	out := chat.Message{Seq: m.Seq, ID: m.ID, From: user(m.From), At: m.At, Data: m.Data, Offset: m.Offset}
	for _, a := range m.Attachments {
		out.Binary += len(a)
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

// members returns the list of members, or nil if the room is too large for one.
func members(j client.Joined) []chat.User {
	if len(j.Members) == 0 {
		return nil
	}
	return users(j.Members)
}
