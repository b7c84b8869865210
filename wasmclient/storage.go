//go:build js && wasm

package main

import (
	"strings"
	"syscall/js"
)

// storage is the browser's localStorage, or a memory that ends with the page
// where the browser allows none.
type storage struct {
	memory map[string]string
}

// Names of what is kept. Queued messages and drafts have a name each, so that two
// tabs don't write over one another's.
const (
	keepName  = "setu.name"
	keepKey   = "setu.key"
	keepRooms = "setu.rooms"
	keepLast  = "setu.last"
	keepSeen  = "setu.seen."  // + room
	keepDraft = "setu.draft." // + room
	keepQueue = "setu.queue." // + message id
)

func (s *storage) get(name string) string {
	if text, ok := s.memory[name]; ok {
		return text
	}
	var text string
	attempt(func() {
		if v := window.Get("localStorage").Call("getItem", name); !v.IsNull() {
			text = v.String()
		}
	})
	return text
}

// set keeps a text; the empty one forgets.
func (s *storage) set(name, text string) {
	delete(s.memory, name)
	kept := attempt(func() {
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

// names lists what is kept under a prefix.
func (s *storage) names(prefix string) []string {
	var names []string
	attempt(func() {
		keys := window.Get("Object").Call("keys", window.Get("localStorage"))
		for i := range keys.Length() {
			if name := keys.Index(i).String(); strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	})
	return names
}

// attempt runs something that the browser may refuse, and reports whether it did
// not.
func attempt(f func()) (ok bool) {
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
