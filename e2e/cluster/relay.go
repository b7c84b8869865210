package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"setu/relay/wiretest"
)

const relayPort = "8080/tcp"

// RelayOptions says what a relay is like. The zero value is a relay on its own,
// with the memory broker and without limits.
type RelayOptions struct {
	Name    string            // in the network, and its RELAY_ID; "" means "relay"
	Region  string            // "" leaves it to the relay
	Redis   *Redis            // nil means the memory broker
	Env     map[string]string // more settings; they win over the ones above
	Unready bool              // do not wait for /readyz, as it will not come: /healthz will do
}

// Relay is a running Setu.
type Relay struct {
	*Process
}

// StartRelay starts a relay and waits until it is ready.
func StartRelay(t testing.TB, network *Network, options RelayOptions) *Relay {
	t.Helper()
	if options.Name == "" {
		options.Name = "relay"
	}
	image, err := relayImage()
	if err != nil {
		t.Fatal(err)
	}
	path := "/readyz"
	if options.Unready {
		path = "/healthz"
	}
	relay := &Relay{}
	ready := func(p *Process) func(context.Context) error {
		relay.Process = p
		return func(ctx context.Context) error { return relay.answers(ctx, path) }
	}
	start(t, network, options.Name, image, relayPort, ready, testcontainers.WithEnv(options.env()))
	// From now on ready means ready.
	relay.ready = func(ctx context.Context) error { return relay.answers(ctx, "/readyz") }
	return relay
}

func (o RelayOptions) env() map[string]string {
	env := map[string]string{"PORT": "8080", "RELAY_ID": o.Name}
	for _, setting := range wiretest.Unlimited() {
		name, value, _ := strings.Cut(setting, "=")
		env[name] = value
	}
	if o.Region != "" {
		env["REGION"] = o.Region
	}
	if o.Redis != nil {
		env["REDIS_URL"] = o.Redis.InternalURL()
		if ca := o.Redis.CAPEM(); ca != "" {
			env["REDIS_CA"] = ca
		}
	}
	maps.Copy(env, o.Env)
	return env
}

// URL is the page, and what a Socket.IO client is given; the same over restarts.
func (r *Relay) URL() string { return "http://" + r.Address() }

// WS is the Socket.IO endpoint over WebSocket, for clients that want it whole.
func (r *Relay) WS() string {
	return "ws://" + r.Address() + "/socket.io/?EIO=4&transport=websocket"
}

// Status is the HTTP status that it answers a path with; 0 when it does not answer.
func (r *Relay) Status(path string) int {
	status, _ := r.get(r.t.Context(), path)
	return status
}

func (r *Relay) answers(ctx context.Context, path string) error {
	status, err := r.get(ctx, path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answers %d", path, status)
	}
	return err
}

func (r *Relay) get(ctx context.Context, path string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL()+path, nil)
	if err != nil {
		return 0, err
	}
	// A kept connection would hold a draining relay, and a goroutine.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
