package relay

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// apiRights are the rights that operations take, by the contract.
var apiRights = map[string]string{
	"POST /rooms/{room}/messages": "publish", "POST /messages": "publish", "POST /rooms/{room}/messages/{offset}/annotations": "publish", "POST /users/{id}/emit": "publish", "POST /sessions/{id}/emit": "publish", "POST /rooms/{room}/emit": "publish",
	"GET /rooms/{room}/messages": "read", "GET /rooms": "read", "GET /rooms/{room}/members": "read", "GET /users/{id}/sessions": "read", "GET /hooks/dead": "read",
	"POST /users/{id}/join": "manage", "POST /users/{id}/leave": "manage", "POST /users/{id}/disconnect": "manage", "POST /sessions/{id}/join": "manage", "POST /sessions/{id}/leave": "manage",
	"POST /sessions/{id}/disconnect": "manage", "POST /revocations": "manage", "POST /mutes": "manage", "POST /hooks/dead/{dead}/retry": "manage",
}

// Each operation takes the right that it says, and a key, in its header alone.
func TestAPIKeys(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		may := map[string]string{"publish": publishKey, "read": readKey}
		n := 0
		for path, all := range a.doc.Paths {
			for method, op := range all {
				n++
				if name := strings.ToUpper(method) + strings.TrimPrefix(path, "/api/v1"); apiRights[strings.Replace(name, "/", " /", 1)] != op.Security[0]["key"][0] {
					t.Errorf("%s says that it takes the right to %s", name, op.Security[0]["key"][0])
				}
				path := strings.NewReplacer("/api/v1/", "", "{room}", "a", "{id}", "a").Replace(path)
				right := op.Security[0]["key"][0]
				for has, key := range may {
					s := a.as(key).ask(strings.ToUpper(method), path, "")
					if (s.status == http.StatusForbidden) != (has != right) {
						t.Errorf("%s %s with %s: %d %s", method, path, has, s.status, s.body)
					}
				}
				for _, key := range []string{"", everyKey[1:], everyKey + "x", strings.ToUpper(everyKey)} {
					if s := a.as(key).want(401, strings.ToUpper(method), path, ""); s.header.Get("WWW-Authenticate") == "" || s.code(t) != "unauthorized" {
						t.Error(s)
					}
				}
			}
		}
		if n != len(apiRights) {
			t.Errorf("%d operations, not %d", n, len(apiRights))
		}
		a.as("").want(401, "GET", "rooms?key="+everyKey, "")
		a.want(401, "GET", "rooms", "", "Authorization", "Basic "+everyKey)
		a.want(200, "GET", "rooms", "", "Authorization", "bearer "+everyKey)
		a.want(401, "GET", "nothing", "", "Authorization", "")
		if s := a.want(404, "GET", "nothing", ""); s.code(t) != "not_found" {
			t.Error(s.body)
		}
		if s := a.want(405, "DELETE", "rooms/a/messages", ""); s.header.Get("Allow") != "GET, POST" {
			t.Error(s)
		}
		if log := r.log.String(); strings.Contains(log, everyKey[:20]) || !strings.Contains(log, "operation=history key=reader status=200") {
			t.Error(log)
		}
	}, apiKeys, "HANDSHAKE_RATE=off")
}

// Whoever guesses keys is not heard any more, soon.
func TestAPIGuesses(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		n := 0
		for ; a.as("x").ask("GET", "rooms", "").status == 401; n++ {
			if n > 1000 {
				t.Fatal("no end")
			}
		}
		if n > 160 {
			t.Errorf("%d guesses", n)
		}
		if s := a.want(429, "GET", "rooms", ""); s.header.Get("Retry-After") == "" || s.code(t) != "rate_limited" {
			t.Error(s)
		}
		<-time.After(10 * time.Second)
		a.want(200, "GET", "rooms", "")
	}, apiKeys)
}

func TestAPIRate(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.api(t)
		for range 5 {
			a.want(200, "GET", "rooms", "")
		}
		if s := a.want(429, "GET", "rooms", ""); s.header.Get("Retry-After") != "1" || s.code(t) != "rate_limited" {
			t.Error(s)
		}
		a.as(readKey).want(200, "GET", "rooms", "") // it is another key's
		<-time.After(time.Second)
		one := `{"room":"a","data":1}`
		a.want(200, "POST", "messages", `{"messages":[`+one+","+one+","+one+`]}`)
		a.want(429, "GET", "rooms", "") // each message counted
		<-time.After(4 * time.Second)
		a.want(200, "GET", "rooms", "")
		<-time.After(time.Minute)
		a.want(200, "POST", "messages", `{"messages":[`+one+","+one+","+one+`]}`)
		for _, status := range []int{200, 200, 429} { // and no more than each message
			a.want(status, "GET", "rooms", "")
		}
	}, apiKeys, "API_RATE=1/s:5")
}
