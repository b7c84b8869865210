package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"setu/relay"
	"setu/relay/broker"
	"setu/relay/client"
)

// python-engineio drops an answer of more than 16 packets, and starts again: a burst of messages with
// attachments reaches a client that goes by polling alone, whole and at the first try.
func TestStockPythonByPollingInABurst(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs python-socketio")
	}
	python := startScript(t, "testdata/stock_client.py")
	url := serveInMemory(t)
	python.do(map[string]any{"do": "connect", "url": url, "auth": map[string]any{"name": "reader"}, "transports": []string{"polling"}}, nil)
	python.do(map[string]any{"do": "join", "n": 0, "room": "room"}, nil)
	const n = 100
	burst(t, url, n)

	heard := map[string]string{}
	for end := time.Now().Add(patience); len(heard) < n && time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		var state struct{ Log []entry }
		python.do(map[string]any{"do": "state", "n": 0}, &state)
		for _, e := range state.Log {
			switch e.Kind {
			case "received":
				heard[e.Message.ID] = e.Message.Data
			case "gone", "failed":
				t.Fatalf("%s %s after %d messages", e.Kind, e.Note, len(heard))
			}
		}
	}
	for i := range n {
		if got, want := heard[fmt.Sprint("m", i)], fmt.Sprintf(`[{"$bytes":"%02x"},{"$bytes":"%02[1]x%02[1]x"}]`, i); got != want {
			t.Errorf("message %d: %q, want %q", i, got, want)
		}
	}
}

// serveInMemory starts a relay in this process and returns its address.
func serveInMemory(t *testing.T) string {
	t.Helper()
	cfg, err := relay.LoadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	store := broker.NewMemory(cfg.Limits())
	srv, err := relay.New(cfg, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		web.Close()
		_ = store.Close(context.Background())
	})
	return web.URL
}

// burst publishes n messages at the same time, with two attachments each.
func burst(t *testing.T, url string, n int) {
	t.Helper()
	c, err := client.Dial(t.Context(), url, &client.Options{Name: "writer"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Join(t.Context(), "room", client.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			data := []any{client.Attachment(0), client.Attachment(1)}
			attachments := [][]byte{{byte(i)}, {byte(i), byte(i)}}
			if _, err := c.PublishBinary(t.Context(), "room", data, attachments, fmt.Sprint("m", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
