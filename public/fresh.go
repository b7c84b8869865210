package public

import (
	"bytes"
	"net/http"
	"sync"
	"time"
)

const (
	// freshFor is how long a page with messages is served again: what has come meanwhile comes with the
	// program, and however many people ask, a room is read and its page compressed once in this time.
	freshFor = time.Second
	// maxFresh bounds the pages that are kept, of about 30 kB each.
	maxFresh = 64
)

// freshPages makes pages with the newest messages of rooms in them.
type freshPages struct {
	// immutable
	before, after []byte // of the page, around the list of messages
	newest        func(r *http.Request, room string) []byte
	now           func() time.Time

	// guarded by mu
	mu    sync.Mutex
	pages map[freshKey]*freshPage
}

type freshKey struct{ room, encoding string }

// freshPage is a page, or one that is being made.
type freshPage struct {
	made  chan struct{} // closed when it is
	until time.Time
	asset *asset // nil: the page goes without
}

// newFreshPages returns nil if there is nothing to take messages from, or no place for them.
func newFreshPages(index *asset, newest func(*http.Request, string) []byte) *freshPages {
	body, err := index.identity()
	if err != nil || newest == nil {
		return nil
	}
	before, after, ok := bytes.Cut(body, []byte(emptyList))
	if !ok {
		return nil
	}
	return &freshPages{before: before, after: after, newest: newest, now: time.Now, pages: map[freshKey]*freshPage{}}
}

// of returns the page to answer a request with, in an encoding, or nil: there is nothing to show that
// everybody may read, or it can't be had at once.
func (f *freshPages) of(r *http.Request, encoding string) *asset {
	room, assumed := servedRoom(r)
	if room == "" {
		return nil
	}
	key := freshKey{room, encoding}
	if assumed {
		key.room = ""
	}
	p, mine := f.begin(key)
	switch {
	case p == nil:
		return nil
	case mine:
		defer close(p.made)
		if p.asset = f.make(r, room, assumed, encoding); p.asset == nil {
			f.forget(key, p) // the next one may be luckier
		}
	default:
		select {
		case <-p.made:
		case <-r.Context().Done():
			return nil
		}
	}
	return p.asset
}

// begin returns the page for a key, and whether the caller is to make it; nil if too many others are
// kept.
func (f *freshPages) begin(key freshKey) (p *freshPage, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if p = f.pages[key]; p != nil && now.Before(p.until) {
		return p, false
	}
	if len(f.pages) >= maxFresh {
		for k, old := range f.pages {
			if !now.Before(old.until) {
				delete(f.pages, k)
			}
		}
		if len(f.pages) >= maxFresh {
			return nil, false
		}
	}
	p = &freshPage{made: make(chan struct{}), until: now.Add(freshFor)}
	f.pages[key] = p
	return p, true
}

func (f *freshPages) forget(key freshKey, p *freshPage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pages[key] == p {
		delete(f.pages, key)
	}
}

// make returns a page, or nil.
func (f *freshPages) make(r *http.Request, room string, assumed bool, encoding string) *asset {
	rows := writeRows(room, assumed, f.newest(r, room))
	if rows == nil {
		return nil
	}
	body := bytes.Join([][]byte{f.before, rows, f.after}, nil)
	a := &asset{
		contentType: contentType(".html"), hash: digest(body), private: true,
		identity: func() ([]byte, error) { return body, nil },
	}
	if pack := encoders[encoding]; pack != nil {
		packed, err := pack(body)
		if err != nil {
			return nil
		}
		a.encoded = map[string][]byte{encoding: packed}
	}
	return a
}
