package relay

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/wiretest"
)

// directory is what the relays of a fleet find out about one another.
type directory struct {
	mu sync.Mutex

	// guarded by mu
	peers    map[string]broker.Peer // by node
	draining map[string]bool        // by node
	secret   []byte
	asked    int   // how often a relay asked for a peer
	down     bool  // questions fail: the store is unavailable
	ready    error // what Ready returns
}

func (d *directory) set(change func(d *directory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// fleetBroker is a memory broker with a directory that several relays share.
type fleetBroker struct {
	*broker.Memory
	*directory
	node string // the node of the relay whose broker it is
}

func (b *fleetBroker) Peer(_ context.Context, node string) (broker.Peer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	switch p, ok := b.peers[node]; {
	case b.down:
		return p, broker.ErrUnavailable
	case !ok:
		return p, broker.ErrGone
	default:
		return p, nil
	}
}

// Others returns all relays that have not said that they drain, this one among them.
func (b *fleetBroker) Others(context.Context) (others []broker.Peer, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, p := range b.peers {
		if !b.draining[node] {
			others = append(others, p)
		}
	}
	return others, nil
}

func (b *fleetBroker) Drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining[b.node] = true
}

func (b *fleetBroker) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready
}

func (b *fleetBroker) Secret(context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.secret, nil
}

func newDirectory() *directory {
	return &directory{peers: map[string]broker.Peer{}, draining: map[string]bool{}, secret: []byte("the secret of this fleet, 32 byte")}
}

// join starts a relay of the fleet on loopback, and announces it.
func (d *directory) join(t *testing.T, pairs ...string) (r *rig, url string) {
	t.Helper()
	l, dial := wiretest.ListenTCP(t)
	url = "http://" + l.Addr().String()
	b := &fleetBroker{Memory: broker.NewMemory(settings(t).Limits()), directory: d}
	r = newRig(t, l, dial, b, pairs...)
	b.node = r.cfg.Node
	t.Cleanup(r.close)
	d.set(func(d *directory) {
		d.peers[r.cfg.Node] = broker.Peer{Node: r.cfg.Node, URL: url, Machine: r.cfg.Machine}
	})
	return r, url
}

// request makes one request over a connection of its own.
func request(t *testing.T, ctx context.Context, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ""
		}
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

const polling = Path + "?EIO=4&transport=polling"

// sidOf opens a session by polling, and returns its id.
func sidOf(t *testing.T, url string) string {
	t.Helper()
	res, body := request(t, t.Context(), "GET", url+polling, "")
	_, sid, ok := strings.Cut(body, `0{"sid":"`)
	if res.StatusCode != 200 || !ok {
		t.Fatal(res.Status, body)
	}
	sid, _, _ = strings.Cut(sid, `"`)
	return sid
}

// former adds an earlier run of a machine to the directory, one that has no address.
func former(d *directory, machine string) string {
	node := engine.NewNode()
	d.set(func(d *directory) { d.peers[node] = broker.Peer{Node: node, Machine: machine} })
	return node
}
