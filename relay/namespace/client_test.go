package namespace

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"setu/relay/engine"
	"setu/relay/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stubborn is a namespace whose events are never done with, until their connection ends.
type stubborn struct{}

func (stubborn) Connect(_ context.Context, c *Conn, _ json.RawMessage) (Handler, error) {
	c.Accept("sid", "")
	return stubborn{}, nil
}
func (stubborn) Handle(ctx context.Context, _ []Event) { <-ctx.Done() }
func (stubborn) Left(bool)                             {}

// What waits for a handler is bounded, whatever a client sends.
func TestRequestsThatWait(t *testing.T) {
	for name, size := range map[string]int{"many": 100, "large": 50_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const maxPayload = 60_000
				var c *client
				serve := Serve(Config{MaxPayload: maxPayload}, map[string]Namespace{"/": stubborn{}})
				srv := engine.New(engine.Config{MaxPayload: maxPayload}, slog.New(slog.DiscardHandler), func(s *engine.Session) engine.Handler {
					h := serve(s)
					c = h.(*client)
					return h
				})
				l := wiretest.NewPipes()
				web := &http.Server{Handler: srv}
				go func() { _ = web.Serve(l) }()
				p := wiretest.Upgrade(t, l.Dial())
				p.Packet()
				p.Text("40")
				p.Packet()
				for i := 0; ; i++ {
					_ = p.Conn.SetWriteDeadline(time.Now().Add(time.Second))
					packet := fmt.Sprintf(`42%d["ask","%s"]`, i, strings.Repeat("x", size))
					if _, err := p.Conn.Write(wiretest.ClientFrame(0x81, []byte(packet))); err != nil {
						break // nothing more is read from it
					}
					synctest.Wait()
					c.mu.Lock()
					n, bytes := len(c.queue), c.bytes
					c.mu.Unlock()
					if n > maxRequests || bytes > 2*maxPayload {
						t.Fatalf("%d requests wait, %d bytes", n, bytes)
					}
				}
				_ = p.Conn.Close()
				_, _ = srv.Shutdown(t.Context())
				_ = web.Close()
			})
		})
	}
}
