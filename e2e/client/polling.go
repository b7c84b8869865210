package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// mostPackets is how many packets stock clients take from one answer: Python's refuses more.
const mostPackets = 16

// separator stands between the packets of a body.
const separator = "\x1e"

// polling carries packets in the answers to GETs, of which one is under way whenever somebody reads,
// and in the bodies of POSTs, one at a time.
type polling struct {
	// Immutable after dialPolling.
	http *http.Client
	url  string // with the session's id
	sid  string

	life    context.Context // the connection's: it ends what is under way
	cancel  context.CancelFunc
	writing sync.Mutex // held over a POST
	unread  []packet   // owned by whoever reads
}

// dialPolling begins a session. endpoint is one for WebSocket.
func dialPolling(ctx context.Context, endpoint string) (*polling, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("transport", "polling")
	u.Scheme, u.RawQuery = strings.Replace(u.Scheme, "ws", "http", 1), query.Encode()
	p := &polling{http: requests(), url: u.String()}
	p.life, p.cancel = context.WithCancel(context.Background())
	if err := p.open(ctx); err != nil {
		p.close()
		return nil, err
	}
	query.Set("sid", p.sid)
	u.RawQuery = query.Encode()
	p.url = u.String()
	return p, nil
}

// open takes the id of the session, and leaves what says it to whoever reads.
func (p *polling) open(ctx context.Context) error {
	if err := p.get(ctx); err != nil {
		return err
	}
	first, is := bytes.CutPrefix(p.unread[0].data, []byte("0"))
	var opened struct{ SID string }
	if err := json.Unmarshal(first, &opened); !is || err != nil || opened.SID == "" {
		return fmt.Errorf("the relay opened with %.200q: %w", p.unread[0].data, err)
	}
	p.sid = opened.SID
	return nil
}

func (p *polling) read(ctx context.Context) (packet, error) {
	for {
		if next, is := p.next(); is {
			return next, nil
		}
		if err := p.get(ctx); err != nil {
			return packet{}, err
		}
	}
}

// next takes what has come and says something: a noop only ends a GET.
func (p *polling) next() (next packet, is bool) {
	for len(p.unread) > 0 {
		next, p.unread = p.unread[0], p.unread[1:]
		if next.binary || string(next.data) != "6" {
			return next, true
		}
	}
	return packet{}, false
}

// get asks once, and waits for the answer.
func (p *polling) get(ctx context.Context) error {
	answer, err := p.ask(ctx, http.MethodGet, nil)
	if err == nil {
		p.unread, err = split(answer)
	}
	return err
}

func (p *polling) write(ctx context.Context, packets ...packet) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	answer, err := p.ask(ctx, http.MethodPost, strings.NewReader(join(packets)))
	if err == nil && string(answer) != "ok" {
		err = fmt.Errorf("the relay answered a POST with %.200q", answer)
	}
	if err != nil {
		p.close() // what was sent may have come or not: nothing may follow it
	}
	return err
}

// ask sends a request that ends with ctx or with the connection.
func (p *polling) ask(ctx context.Context, method string, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	request, err := http.NewRequestWithContext(ctx, method, p.url, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	}
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200q", method, response.Status, answer)
	}
	return answer, err
}

func (p *polling) upgraded() bool { return false }

func (p *polling) close() { p.cancel() }

// join puts packets into one body.
func join(packets []packet) string {
	var parts []string
	for _, p := range packets {
		if p.binary {
			parts = append(parts, "b"+base64.StdEncoding.EncodeToString(p.data))
		} else {
			parts = append(parts, string(p.data))
		}
	}
	return strings.Join(parts, separator)
}

// split takes them out of one; there is one at least.
func split(body []byte) (packets []packet, err error) {
	for part := range bytes.SplitSeq(body, []byte(separator)) {
		p := packet{data: part}
		if base, is := bytes.CutPrefix(part, []byte("b")); is {
			p.binary = true
			if p.data, err = base64.StdEncoding.DecodeString(string(base)); err != nil {
				return nil, fmt.Errorf("not bytes: %.200q: %w", part, err)
			}
		} else if len(part) == 0 {
			return nil, fmt.Errorf("an empty packet in %.200q", body)
		}
		packets = append(packets, p)
	}
	if len(packets) > mostPackets {
		return nil, fmt.Errorf("%d packets in one answer", len(packets))
	}
	return packets, nil
}
