package dev

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"setu/relay"
	"setu/relay/broker"
	"setu/relay/handshake"
	"setu/relay/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is setu dev under test, with a relay.
type rig struct {
	wiretest.Dialer
	t    *testing.T
	out  *wiretest.Log // what it prints
	log  *wiretest.Log // the relay's
	page http.Handler
	srv  *relay.Server
}

// start runs setu dev with rules, if there are any, and settings.
func start(t *testing.T, rules string, environ ...string) *rig {
	t.Helper()
	var args []string
	if rules != "" {
		args = []string{"--rules", filepath.Join(t.TempDir(), "rules.json")}
		if err := os.WriteFile(args[1], []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, out: &wiretest.Log{}, log: &wiretest.Log{}}
	d, err := New(args, append(environ, "RELAY_ID=relay-1"), r.out)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	b := broker.NewMemory(d.Config.Limits())
	srv, err := relay.New(d.Config, b, log)
	if err != nil {
		t.Fatal(err)
	}
	l, dial := wiretest.ListenTCP(t)
	r.Dialer = wiretest.Dialer{T: t, New: dial}
	r.srv = srv
	r.page = d.Handler(srv, b, srv)
	web := &http.Server{Handler: r.page}
	var served sync.WaitGroup
	served.Go(func() { _ = web.Serve(handshake.Listen(l, web, relay.Path, r.page)) })
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.Shutdown(ctx)
		_ = web.Close()
		served.Wait()
		_ = b.Close(context.Background())
		d.Close()
	})
	return r
}

// get asks for a path under a host.
func (r *rig) get(method, host, path string) *http.Response {
	req := httptest.NewRequest(method, path, nil)
	req.Host = host
	w := httptest.NewRecorder()
	r.page.ServeHTTP(w, req)
	return w.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// printed waits until something is printed. A hook's line is before the relay has its answer, but not before it gives up.
func (r *rig) printed(want string) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !r.out.Has(want); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("no %s in:\n%s", want, r.out)
		}
	}
}
