package wiretest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"setu/relay/engineio"
)

// Poller is a client by long polling.
type Poller struct {
	T    testing.TB
	Web  *http.Client
	SID  string
	Acks int
	Held []string // packets that came with an answer and were not looked at yet
}

// Reply is what came of a request.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	Err    error // there was no answer
}

// Is asserts what a reply says.
func (got Reply) Is(t testing.TB, status int, body string) {
	t.Helper()
	if got.Err != nil || got.Status != status || got.Body != body {
		t.Errorf("got %d %.200q (%v), want %d %.200q", got.Status, got.Body, got.Err, status, body)
	}
}

// Bodies of refusals.
const (
	UnknownSID = `{"code":1,"message":"Session ID unknown"}`
	BadRequest = `{"code":3,"message":"Bad request"}`
)

// Send sends a request; header has names and values in turn.
func (p *Poller) Send(ctx context.Context, method, query string, body io.Reader, header ...string) (got Reply) {
	target := "http://relay" + path + "?EIO=4&transport=polling" + query
	if p.SID != "" {
		target += "&sid=" + p.SID
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return Reply{Err: err}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := p.Web.Do(req)
	if err != nil {
		return Reply{Err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return Reply{res.StatusCode, res.Header, string(b), err}
}

// Get sends a GET.
func (p *Poller) Get() Reply { return p.Send(context.Background(), "GET", "", nil) }

// Post sends a POST.
func (p *Poller) Post(body string, header ...string) Reply {
	return p.Send(context.Background(), "POST", "", strings.NewReader(body), header...)
}

// Later does a request meanwhile.
func Later(request func() Reply) <-chan Reply {
	answer := make(chan Reply, 1)
	go func() { answer <- request() }()
	return answer
}

// Waiting has a GET wait, in a bubble.
func (p *Poller) Waiting() <-chan Reply {
	answer := Later(p.Get)
	synctest.Wait()
	return answer
}

// Say posts packets.
func (p *Poller) Say(packets ...string) {
	p.T.Helper()
	if got := p.Post(strings.Join(packets, "\x1e")); got.Err != nil || got.Status != http.StatusOK || got.Body != "ok" {
		p.T.Fatalf("POST: %d %q %v", got.Status, got.Body, got.Err)
	}
}

// Packet returns the next packet, and answers pings.
func (p *Poller) Packet() string {
	p.T.Helper()
	for {
		for len(p.Held) == 0 {
			got := p.Get()
			if got.Err != nil || got.Status != http.StatusOK {
				p.T.Fatalf("GET: %d %q %v", got.Status, got.Body, got.Err)
			}
			p.Held = strings.Split(got.Body, "\x1e")
		}
		s := p.Held[0]
		if p.Held = p.Held[1:]; s != "2" {
			return s
		}
		p.Say("3")
	}
}

// Expect reads the next packet, which must be this.
func (p *Poller) Expect(want string) {
	p.T.Helper()
	if got := p.Packet(); got != want {
		p.T.Fatalf("got %s, want %s", got, want)
	}
}

// Call sends a request and waits for its answer; what comes before is kept.
func (p *Poller) Call(event, arg string) string {
	p.T.Helper()
	p.Acks++
	id := strconv.Itoa(p.Acks)
	p.Say("42" + id + `["` + event + `",` + arg + `]`)
	var before []string
	for {
		s := p.Packet()
		if body, ok := strings.CutPrefix(s, "43"+id+"["); ok {
			p.Held = append(before, p.Held...)
			return strings.TrimSuffix(body, "]")
		}
		before = append(before, s)
	}
}

// ErrorOf reads the code of a refusal.
func ErrorOf(t testing.TB, body string) int {
	t.Helper()
	var e engineio.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Errorf("%q: %v", body, err)
		return -1
	}
	return e.Code
}
