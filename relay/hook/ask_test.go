package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/metrics"
)

// What fails in passing is tried once more, under the same id, and nothing else is.
func TestRetries(t *testing.T) {
	broken := stub(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	for name, row := range map[string]struct {
		first stub
		tries int
		left  time.Duration
	}{
		"no connection": {broken, 2, time.Second},
		"no app":        {answer(503, "starting"), 2, time.Second},
		"no time":       {broken, 1, 10 * time.Millisecond},
		"an error":      {answer(500, ""), 1, time.Second},
		"nonsense":      {answer(200, "[]"), 1, time.Second},
		"refused":       {answer(403, `{"code":"no"}`), 1, time.Second},
		"too slow":      {hang, 1, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ids, bodies []string
				s := stubbed(t, Config{Timeout: row.left}, func(r *http.Request) (*http.Response, error) {
					body, _ := io.ReadAll(r.Body)
					ids, bodies = append(ids, r.Header.Get("webhook-id")), append(bodies, string(body))
					if len(ids) == 1 {
						return row.first(r)
					}
					return answer(200, `{"disconnect":true}`)(r)
				})
				defer s.Close()
				began := time.Now()
				r, err := s.Ask(t.Context(), Request{Type: metrics.HookEvent, ID: "one"})
				if len(ids) != row.tries || ids[0] != "one" || ids[len(ids)-1] != "one" || bodies[0] != bodies[len(bodies)-1] || bodies[0] == "" {
					t.Errorf("%q, %q", ids, bodies)
				}
				var refused *Refusal
				switch {
				case row.tries == 2 && (err != nil || !r.End):
					t.Error(err)
				case row.tries == 1 && !errors.As(err, &refused) && !errors.Is(err, ErrUnavailable):
					t.Error(err)
				}
				if took := time.Since(began); took > row.left {
					t.Error(took)
				}
			})
		})
	}
}

// What finds no app twice is not tried a third time.
func TestTriedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		s := stubbed(t, Config{Timeout: time.Minute}, func(*http.Request) (*http.Response, error) {
			tries++
			return nil, io.ErrUnexpectedEOF
		})
		defer s.Close()
		if _, err := s.Ask(t.Context(), Request{Type: metrics.HookEvent, ID: "one"}); !errors.Is(err, ErrUnavailable) || tries != 2 {
			t.Errorf("tried %d times: %v", tries, err)
		}
	})
}

// An answer that can't be used is in the log, without what was asked or answered; a flood of them is not.
func TestComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := stubbed(t, Config{}, answer(200, `{"ack":"s3cr3t"}`))
		defer s.Close()
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		for range 100 {
			_, err := s.Ask(t.Context(), Request{Type: metrics.HookEvent, ID: "one", Data: json.RawMessage(`"s3cr3t"`)})
			if outcome(t, err) != metrics.HookBad {
				t.Fatal(err)
			}
		}
		if lines := strings.Count(log.String(), "\n"); lines < 1 || lines > 10 || strings.Contains(log.String(), "s3cr3t") || !strings.Contains(log.String(), "ack: must be a list") {
			t.Error(log.String())
		}
	})
}

func TestWhatIsAsked(t *testing.T) {
	if (*Sender)(nil).Asks(metrics.HookEvent) {
		t.Error("nobody asks")
	}
	s := open(t, Config{Events: Events{metrics.HookJoin}, URL: serve(t, nil)})
	if s.Asks(metrics.HookEvent) || !s.Asks(metrics.HookJoin) {
		t.Error("asks what it should not")
	}
	text, err := json.Marshal(Request{Type: metrics.HookEvent, ID: "i", At: 1, Rooms: []string{}, Event: &Event{Event: "e", Args: []json.RawMessage{json.RawMessage("1")}, WantsAck: true}})
	if want := `{"type":"event","id":"i","at":1,"relay":"","region":"","session":"","user":{"id":"","name":"","guest":false},"rooms":[],"event":"e","args":[1],"wantsAck":true}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}
