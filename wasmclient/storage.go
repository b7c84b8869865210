//go:build js && wasm

package main

import (
	"strings"
	"syscall/js"
)

// storage is the browser's localStorage. What the browser refuses to store is kept in memory, until
// the page is closed.
type storage struct {
	memory map[string]string
}

// Names of the stored items. Each queued message and each draft has its own, so that two tabs don't
// overwrite each other's.
const (
	itemName     = "setu.name"
	itemKey      = "setu.key"
	itemUser     = "setu.user" // the id, by which the loader knows what is this user's own
	itemRooms    = "setu.rooms"
	itemLastRoom = "setu.last"
	itemSeen     = "setu.seen."    // + room
	itemDraft    = "setu.draft."   // + room
	itemWriting  = "setu.writing." // + room: edits and a reply under way
	itemQueue    = "setu.queue."   // + message id
	itemScreen   = "setu.screen."  // + room
	itemNotify   = "setu.notify"   // "on": notify of messages that are not in view
	itemUnsent   = "setu.unsent"   // of the session, from one user's page to the next
)

// get returns the text of an item, or "" if there is none.
func (s *storage) get(name string) string {
	if text, ok := s.memory[name]; ok {
		return text
	}
	var text string
	tryJS(func() {
		if v := window.Get("localStorage").Call("getItem", name); !v.IsNull() {
			text = v.String()
		}
	})
	return text
}

// set stores a text; an empty one removes the item.
func (s *storage) set(name, text string) {
	delete(s.memory, name)
	kept := tryJS(func() {
		if text == "" {
			window.Get("localStorage").Call("removeItem", name)
		} else {
			window.Get("localStorage").Call("setItem", name, text)
		}
	})
	if kept || text == "" {
		return
	}
	if s.memory == nil {
		s.memory = make(map[string]string)
	}
	s.memory[name] = text
}

// names returns the names of the stored items that begin with a prefix.
func (s *storage) names(prefix string) []string {
	var names []string
	tryJS(func() {
		keys := window.Get("Object").Call("keys", window.Get("localStorage"))
		for i := range keys.Length() {
			if name := keys.Index(i).String(); strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	})
	return names
}

// tryJS runs f, and reports whether JavaScript threw no exception.
func tryJS(f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, refused := r.(js.Error); !refused {
				panic(r)
			}
			ok = false
		}
	}()
	f()
	return true
}
