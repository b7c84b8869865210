package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// app is the app that is told of presence.
type app struct {
	mu       sync.Mutex // guards what follows
	mood     appMood
	told     map[string][]notice // by user or room: each once, in their order
	lossy    bool                // Redis may have lost something
	stepped  bool                // its clock went back, too: fences may
	tellings int
	doubled  int
}

// notice is what the app was told.
type notice struct {
	There bool
	ID    string
	Fence uint64
	At    int64
}

// appMood is how the app answers.
type appMood int

const (
	appWell    appMood = iota
	appFailing         // it answers 500
	appMute            // it takes what it is told, and says nothing
)

func (m appMood) String() string { return []string{"well", "failing", "mute"}[m] }

func (a *app) be(m appMood) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mood = m
}

// expect notes what is about to happen to Redis.
func (a *app) expect(s step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch s.op {
	case "failover", "demote", "restart", "flush", "evict":
		a.lossy = true
	case "clock":
		a.stepped = a.stepped || s.d < 0
	}
}

// appTransport is one relay's way to the app.
type appTransport struct {
	w *world
	n *node
}

var errNoApp = errors.New("no answer")

// RoundTrip implements http.RoundTripper.
func (t appTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.n.gate.wait(t.w.ended)
	<-time.After(3 * time.Millisecond)
	if t.n.killed.Load() || r.Context().Err() != nil {
		return nil, errNoApp
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a := &t.w.app
	a.mu.Lock()
	mood := a.mood
	var fault string
	if mood != appFailing {
		fault = a.note(body)
	}
	a.mu.Unlock()
	if fault != "" {
		t.w.fault("told: %s", t.w.byName(fault))
	}
	switch mood {
	case appFailing:
		return &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody}, nil
	case appMute:
		return nil, errNoApp
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
}

// note notes a notice, and returns what is wrong with it. a.mu is held.
func (a *app) note(body []byte) (fault string) {
	var is struct {
		Type, ID, Room string
		User           struct{ ID string }
		At             int64
		Fence          uint64
	}
	if err := json.Unmarshal(body, &is); err != nil {
		return fmt.Sprintf("%s: %v", body, err)
	}
	subject := is.User.ID
	if subject == "" {
		subject = "room " + is.Room
	}
	n := notice{is.Type == "user.online" || is.Type == "room.occupied", is.ID, is.Fence, is.At}
	if a.told == nil {
		a.told = map[string][]notice{}
	}
	all := a.told[subject]
	for _, was := range all {
		if was.ID == n.ID {
			if a.doubled++; was != n {
				fault = fmt.Sprintf("%+v came again as %+v", was, n)
			}
			return fault
		}
	}
	a.tellings++
	a.told[subject] = append(all, n)
	if len(all) == 0 {
		return ""
	}
	switch last := all[len(all)-1]; {
	case n.Fence <= last.Fence && !(a.lossy && a.stepped):
		return fmt.Sprintf("the fence of %s falls from %d to %d", subject, last.Fence, n.Fence)
	case n.There == last.There && !a.lossy:
		return fmt.Sprintf("of %s was told twice that it is there: %v", subject, n.There)
	}
	return ""
}

// is returns what the app was told last of a user or room: the notice of the highest fence.
func (a *app) is(subject string) (there bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var last notice
	for _, n := range a.told[subject] {
		if n.Fence > last.Fence {
			last = n
		}
	}
	return last.There
}

// toldTime is how long what is put off may wait, after all is well: until it is tried again, and once the
// relays have found one another out.
const toldTime = 90 * time.Second

// checkApp compares what the app was told with who is there.
func (w *world) checkApp() {
	if !w.plan.told || w.broken() {
		return
	}
	w.wait(toldTime)
	online, occupied := map[string]bool{}, map[string]bool{}
	for _, room := range w.rooms {
		occupied[room] = false
	}
	for _, m := range w.everybody() {
		m.mu.Lock()
		online[m.user] = online[m.user] || m.up
		for _, room := range w.rooms {
			occupied[room] = occupied[room] || m.up && m.inRoom(room) != nil
		}
		m.mu.Unlock()
	}
	delete(online, "")
	for user, there := range online {
		if told := w.app.is(user); told != there {
			w.fault("untold: %s is online: %v, and the app was last told: %v", w.byName(user), there, told)
		}
	}
	for room, there := range occupied {
		if told := w.app.is("room " + room); told != there {
			w.fault("untold: %s is occupied: %v, and the app was last told: %v", room, there, told)
		}
	}
	w.app.mu.Lock()
	defer w.app.mu.Unlock()
	w.verdict.told, w.verdict.doubled = w.app.tellings, w.app.doubled
}
