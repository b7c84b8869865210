package dev

import (
	"context"
	_ "embed"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"setu/relay/broker"
	"setu/relay/events"
)

// Where the page is. What is below is for it.
const (
	path       = "/_dev"
	scriptPath = path + "/page.js"
	stylePath  = path + "/page.css"
	statePath  = path + "/state"
)

//go:embed page.html
var pageHTML []byte

//go:embed page.js
var pageScript []byte

//go:embed page.css
var pageStyle []byte

// policy is the page's Content-Security-Policy: its own files, and no text becomes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// maxShown bounds the sessions, and the rooms, that the page lists.
const maxShown = 200

// Relay is what is asked of a relay.
type Relay interface {
	Connected(most int) (list []events.Connected, total int)
}

// Rooms lists rooms, as broker.Fleet has it.
type Rooms interface {
	Rooms(ctx context.Context, cursor string, limit int) (rooms []broker.RoomCount, next string, err error)
}

// State is what the page shows.
type State struct {
	Relay    string             `json:"relay"`
	At       int64              `json:"at"` // milliseconds since 1970
	Sessions []events.Connected `json:"sessions"`
	Total    int                `json:"total"` // sessions that there are
	Rooms    []RoomState        `json:"rooms"`
	More     bool               `json:"more"`   // rooms than are listed
	Events   []Record           `json:"events"` // those that the page does not have yet
	Last     uint64             `json:"last"`   // number of the last one
}

// RoomState is how many users are in a room.
type RoomState struct {
	Room  string `json:"room"`
	Count int    `json:"count"`
}

// Handler returns next with the page beside it.
func (d *Dev) Handler(srv Relay, b Rooms, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	for at, file := range map[string]struct {
		kind string
		body []byte
	}{path: {"text/html", pageHTML}, scriptPath: {"text/javascript", pageScript}, stylePath: {"text/css", pageStyle}} {
		mux.Handle("GET "+at, guarded(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", file.kind+"; charset=utf-8")
			_, _ = w.Write(file.body)
		}))
	}
	mux.Handle("GET "+statePath, guarded(func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64) // 0: all
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.state(r.Context(), srv, b, after))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/") {
			mux.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r) // past the mux, which redirects paths
	})
}

func (d *Dev) state(ctx context.Context, srv Relay, b Rooms, after uint64) State {
	s := State{Relay: d.Config.RelayID, At: time.Now().UnixMilli(), Rooms: []RoomState{}}
	if s.Sessions, s.Total = srv.Connected(maxShown); s.Sessions == nil {
		s.Sessions = []events.Connected{}
	}
	rooms, next, _ := b.Rooms(ctx, "", maxShown) // in memory it fails only as it closes
	for _, r := range rooms {
		s.Rooms = append(s.Rooms, RoomState(r))
	}
	s.More = next != ""
	s.Events, s.Last = d.journal.since(after)
	return s
}

// guarded serves pages of this relay alone. One of another site, whose name was made to mean this machine
// (DNS rebinding), comes under that name.
func guarded(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !isOwnHost(r.Host) {
			http.Error(w, "ask for this page at localhost, or at an address", http.StatusForbidden)
			return
		}
		serve(w, r)
	})
}

// isOwnHost reports whether a Host header is localhost or an address, and no name that others may own.
func isOwnHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
