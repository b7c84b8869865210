package attendance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mood is how an app answers.
type Mood int

// Moods.
const (
	Well    Mood = iota
	Gone         // closes connections
	Failing      // answers 500
	Hanging      // answers nothing
	Mute         // takes what it is told, and closes connections
)

// App is an app that notes what it is told.
type App struct {
	*httptest.Server
	t testing.TB

	mu     sync.Mutex // guards what follows
	mood   Mood
	change chan struct{} // closed, and made anew, when the mood changes
	told   map[string][]Told
	tries  int
}

// NewApp serves an app on this machine.
func NewApp(t testing.TB) *App {
	a := &App{t: t, change: make(chan struct{}), told: map[string][]Told{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(func() {
		a.Be(Gone)
		a.Close()
	})
	return a
}

// Be changes how the app answers.
func (a *App) Be(m Mood) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mood = m
	close(a.change)
	a.change = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	a.mu.Lock()
	a.tries++
	mood, change := a.mood, a.change
	if err == nil && (mood == Well || mood == Mute) {
		a.note(body)
	}
	a.mu.Unlock()
	switch mood {
	case Well:
	case Failing:
		w.WriteHeader(http.StatusInternalServerError)
	case Hanging:
		select {
		case <-change:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	default:
		panic(http.ErrAbortHandler)
	}
}

// note notes a notice. a.mu is held.
func (a *App) note(body []byte) {
	var is struct {
		Type, ID, Room string
		User           struct{ ID, Name string }
		At             int64
		Fence          uint64
	}
	if err := json.Unmarshal(body, &is); err != nil || is.ID == "" || is.Fence == 0 {
		a.t.Errorf("told %s: %v", body, err)
		return
	}
	kind, what, _ := strings.Cut(is.Type, ".")
	subject := kind + " " + is.User.ID + is.Room
	a.told[subject] = append(a.told[subject], Told{subject, what == "online" || what == "occupied", is.ID, time.UnixMilli(is.At), is.Fence})
}

// Told returns what was told of a subject, "user <id>" or "room <name>", in its order.
func (a *App) Told(subject string) []Told {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.told[subject])
}

// Tries is how often the app was asked.
func (a *App) Tries() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tries
}
