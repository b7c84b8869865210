package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"setu/e2e/balancer"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	goclient "setu/relay/client"
)

// gopher is a client of our own, in Go: it comes back by itself, and what it says and hears is judged
// with the rest.
type gopher struct {
	*fleet
	*goclient.Client
	name string

	mu    sync.Mutex // guards what follows
	gone  time.Time  // since when it has no connection; zero: it has one, or had none yet
	away  []time.Duration
	last  uint64 // the newest message that it has
	ended bool
}

// gopher starts one, which joins the room.
func (f *fleet) gopher(name, url string) *gopher {
	f.t.Helper()
	g := &gopher{fleet: f, name: name}
	var err error
	g.Client, err = goclient.Dial(f.t.Context(), url, &goclient.Options{Name: name, Key: "the-secret-of-" + name + "-0123456789",
		Handler: goclient.Handler{State: g.onState, Message: g.onMessage, Reset: g.onReset}})
	if err != nil {
		f.t.Fatalf("%s: %v", name, err)
	}
	f.t.Cleanup(func() { _ = g.Close() })
	joined, err := g.Join(f.t.Context(), f.room, goclient.JoinOptions{})
	if err != nil {
		f.t.Fatalf("%s joins: %v", name, err)
	}
	g.add(judge.Event{Kind: judge.Joined, Offset: joined.Offset})
	return g
}

func (g *gopher) add(e judge.Event) {
	e.Client, e.Room = g.name, g.room
	g.history.Add(e)
}

// onState takes down for how long there was no connection.
func (g *gopher) onState(s goclient.State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch connected := s.Status == goclient.Connected; {
	case g.ended:
	case !connected && g.gone.IsZero() && s.Relay != "":
		g.gone = time.Now()
		g.add(judge.Event{Kind: judge.Gone, Note: fmt.Sprint(s.Err)})
	case connected && !g.gone.IsZero():
		g.away, g.gone = append(g.away, time.Since(g.gone)), time.Time{}
		// It delivers what it has missed as if that were live.
		g.add(judge.Event{Kind: judge.Resumed, Note: "to " + s.Relay})
	}
}

func (g *gopher) onMessage(m goclient.Message) {
	g.add(judge.Event{Kind: judge.Received, Message: gophersMessage(m)})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = uint64(m.Seq)
}

func (g *gopher) onReset(r goclient.Reset) {
	e := judge.Event{Kind: judge.Reset, Offset: r.Offset, Note: r.Reason}
	for _, m := range r.Messages {
		e.Messages = append(e.Messages, gophersMessage(m))
	}
	g.add(e)
}

func gophersMessage(m goclient.Message) judge.Message {
	return judge.Message{User: m.From.ID, ID: m.ID, Seq: uint64(m.Seq), Offset: m.Offset, Data: string(m.Data)}
}

// talk publishes until ctx ends. What has begun is seen through.
func (g *gopher) talk(ctx context.Context) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	user := g.State().User.ID
	for n := 1; ctx.Err() == nil; n++ {
		said := judge.Message{User: user, ID: fmt.Sprint(g.name, " ", n), Data: fmt.Sprintf(`{"n":%d}`, n)}
		g.add(judge.Event{Kind: judge.Publishing, Message: said})
		stored, err := g.Publish(g.t.Context(), g.room, json.RawMessage(said.Data), said.ID)
		if err != nil {
			g.t.Errorf("%s publishes: %v", g.name, err)
			return
		}
		said.Seq, said.Offset = uint64(stored.Seq), stored.Offset
		g.add(judge.Event{Kind: judge.Stored, Message: said, Duplicate: stored.Duplicate})
		select {
		case <-ctx.Done():
		case <-pace.C:
		}
	}
}

// awaitAll waits until it has all messages up to one, and nothing more of it counts.
func (g *gopher) awaitAll(upTo uint64) {
	g.t.Helper()
	cluster.Eventually(g.t, patience, fmt.Sprintf("%s has all %d", g.name, upTo), func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.last < upTo {
			return fmt.Errorf("it has %d", g.last)
		}
		g.ended = true
		return nil
	})
}

// timesOff is how long it had no connection, each time.
func (g *gopher) timesOff() []time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.away
}

// letIn counts the sessions that began since a time, by relay.
func letIn(b *balancer.Balancer, since time.Time) map[string]int {
	began := map[string]int{}
	for _, r := range b.Requests() {
		if r.Session == "" && !r.Began.Before(since) && !r.Failed() {
			began[r.Relay]++
		}
	}
	return began
}
