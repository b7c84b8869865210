package simulation

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"setu/e2e/judge"
)

// journal is what happened in a world, as it is judged and told. Within one instant of the fake clock
// goroutines run in any order: lines are told by instant, by stretch (a stretch ends when the driver
// has seen everybody wait) and by who they are about, so that one seed tells one story.
type journal struct {
	began time.Time

	mu      sync.Mutex // guards what follows
	stretch int
	lines   []line
	over    bool // what follows is the end of the world, and not judged
}

type line struct {
	at      time.Duration
	stretch int
	who     string
	text    string       // empty: not told
	event   *judge.Event // nil: not judged
}

func (j *journal) add(who string, e *judge.Event, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over && who != "!" {
		return
	}
	at := time.Since(j.began)
	if e != nil {
		e.At, e.Client = at, who
	}
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	j.lines = append(j.lines, line{at, j.stretch, who, text, e})
}

// pass begins another stretch: everything that could happen by now has.
func (j *journal) pass() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stretch++
}

func (j *journal) sorted() []line {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := slices.Clone(j.lines)
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.stretch, b.stretch), cmp.Compare(a.who, b.who))
	})
	return lines
}

func (j *journal) events() (events []judge.Event) {
	for _, l := range j.sorted() {
		if l.event != nil {
			events = append(events, *l.event)
		}
	}
	return events
}

// story is the journal as a person reads it.
func (j *journal) story() string {
	var b strings.Builder
	n := 0
	for _, l := range j.sorted() {
		if l.text == "" {
			continue
		}
		n++
		fmt.Fprintf(&b, "%4d %10.3fs  %s %s\n", n, l.at.Seconds(), l.who, l.text)
	}
	return b.String()
}

// logs is a relay's log as a slog.Handler: warnings and errors are told in the story.
type logs struct {
	j   *journal
	who string

	mu   *sync.Mutex
	last *time.Time // when something was said of a fault; guarded by mu
	full *string    // what was said of why Redis takes nothing, since it last did; guarded by mu
}

// What a relay logs once when Redis takes nothing that is written, and once when it does again.
const (
	saidFull  = "Redis answers and takes nothing that is written: not ready"
	saidTakes = "Redis takes what is written again"
)

func newLogs(j *journal, who string) *logs {
	return &logs{j: j, who: who, mu: &sync.Mutex{}, last: &time.Time{}, full: new(string)}
}

// Enabled implements slog.Handler.
func (l *logs) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs implements slog.Handler.
func (l *logs) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *logs) WithGroup(string) slog.Handler { return l }

// Handle implements slog.Handler.
func (l *logs) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" || a.Key == "reason" {
			text += fmt.Sprintf(" (%.80v)", a.Value)
		}
		return true
	})
	l.mu.Lock()
	*l.last = time.Now()
	switch r.Message {
	case saidFull:
		*l.full += text
	case saidTakes:
		*l.full = ""
	}
	l.mu.Unlock()
	l.j.add(l.who, nil, "logs: %s", text)
	return nil
}

func (l *logs) spoke() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.last
}

// saysWhy reports whether the log's last words on what Redis takes say why the relay is not ready. Each
// reason is said once, and taken back once Redis has refused nothing for a while: a refusal before then
// is of the outage that the log tells of, however long ago that was.
func (l *logs) saysWhy(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(refusals, func(code string) bool {
		return strings.Contains(*l.full, "("+code) && strings.Contains(err.Error(), ": "+code)
	})
}
