package dev

import (
	"cmp"
	"net"
	"slices"
	"strings"

	"setu/relay"
)

// Defaults of setu dev where they are not those of a relay.
const (
	noApp     = "http://localhost/" // HOOK_URL when there is none: nobody is connected to
	allHooks  = "connect,event,join,publish,presence"
	someHooks = "connect,event" // the relay's default
)

// devDefaults are settings that a relay for oneself has unless they are set.
var devDefaults = map[string]string{
	"HOST":         "127.0.0.1",
	"LOBBY":        "lobby",
	"HOOK_NETWORK": "any",
	"HOOK_GRACE":   "1s", // that somebody is gone shows soon
	"ALLOWED_ORIGINS": strings.Join([]string{"http://localhost:3000", "http://localhost:4200", "http://localhost:5000", "http://localhost:5173", "http://localhost:8000", "http://localhost:8081",
		"http://127.0.0.1:3000", "http://127.0.0.1:4200", "http://127.0.0.1:5000", "http://127.0.0.1:5173", "http://127.0.0.1:8000", "http://127.0.0.1:8081"}, ","),
}

// notInMemory are settings of the Redis that setu dev does without.
var notInMemory = []string{"REDIS_URL", "REDIS_CA", "REDIS_PREFIX"}

// plan is what the environment says.
type plan struct {
	settings []string // for relay.LoadConfig
	ignored  []string // names of settings that are passed over
	hasApp   bool
	forwards []string // names of what the app is asked
	all      bool     // every event that clients emit goes to the lobby
}

// planOf reads the environment, as os.Environ returns it.
func planOf(environ []string, hasRules bool) plan {
	vars := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	p := plan{hasApp: vars["HOOK_URL"] != ""}
	for _, name := range notInMemory {
		if vars[name] != "" {
			p.ignored = append(p.ignored, name)
		}
		delete(vars, name)
	}
	for name, value := range devDefaults {
		vars[name] = cmp.Or(vars[name], value)
	}
	if !p.hasApp && !hasRules && vars["LOBBY_EVENTS"] == "" {
		vars["LOBBY_EVENTS"], p.all = "*", true
	}
	if p.hasApp {
		p.forwards = strings.Split(cmp.Or(vars["HOOK_EVENTS"], someHooks), ",")
	}
	vars["HOOK_URL"] = cmp.Or(vars["HOOK_URL"], noApp)
	vars["HOOK_EVENTS"] = p.asks(vars["HOOK_EVENTS"], hasRules)
	for name, value := range vars {
		p.settings = append(p.settings, name+"="+value)
	}
	return p
}

// asks returns HOOK_EVENTS for the relay: all of them, so that they are shown, but for event where neither the
// app nor rules are asked, since then the relay refuses an event that it does not know. What is wrong with the
// setting stays in it.
func (p plan) asks(set string, hasRules bool) string {
	own := p.forwards
	if !p.hasApp && set != "" {
		own = strings.Split(set, ",")
	}
	out := slices.Clone(own)
	for _, name := range strings.Split(allHooks, ",") {
		has := slices.ContainsFunc(own, func(s string) bool { return strings.TrimSpace(s) == name })
		if !has && (name != "event" || hasRules || !p.hasApp) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}

// isOpen reports whether others than this machine can reach the relay.
func isOpen(cfg relay.Config) bool {
	ip := net.ParseIP(cfg.Host)
	return cfg.Host != "localhost" && (ip == nil || !ip.IsLoopback())
}
