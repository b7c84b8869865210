package cluster

import (
	"context"
	"errors"
	"strings"
	"time"

	dockernet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// pauseTimeout is for how long a pause is tried.
const pauseTimeout = 5 * time.Second

// Pause freezes it: its connections stay open and nothing answers.
func (p *Process) Pause() {
	p.t.Helper()
	p.do("pause", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, pauseTimeout)
		defer cancel()
		return poll(ctx, func(ctx context.Context) error { // on a busy machine, the kernel may give up
			_, err := p.docker.ContainerPause(ctx, p.container.ID, client.ContainerPauseOptions{})
			return err
		})
	})
}

// Unpause lets it go on where Pause stopped it.
func (p *Process) Unpause() {
	p.t.Helper()
	p.do("unpause", func(ctx context.Context) error {
		_, err := p.docker.ContainerUnpause(ctx, p.container.ID, client.ContainerUnpauseOptions{})
		return err
	})
}

// CutFromNetwork takes it off the test's network: what it sends to the others
// vanishes, and the other way round, with no connection closed. The host still
// reaches it.
func (p *Process) CutFromNetwork() {
	p.t.Helper()
	p.do("cut from network", func(ctx context.Context) error {
		inspect, err := p.container.Inspect(ctx)
		if err != nil {
			return err
		}
		endpoint := inspect.NetworkSettings.Networks[p.network.docker.Name]
		if endpoint == nil {
			return errors.New("not in the network")
		}
		p.address = endpoint.IPAddress
		_, err = p.docker.NetworkDisconnect(ctx, p.network.docker.ID, client.NetworkDisconnectOptions{Container: p.container.ID, Force: true})
		return err
	})
}

// Reconnect undoes CutFromNetwork, under the same name and address; under another
// address where a container that was started meanwhile has been given this one.
func (p *Process) Reconnect() {
	p.t.Helper()
	p.do("reconnect", func(ctx context.Context) error {
		err := p.reconnect(ctx, &dockernet.EndpointIPAMConfig{IPv4Address: p.address})
		if err != nil && strings.Contains(err.Error(), "Address already in use") {
			err = p.reconnect(ctx, nil)
		}
		return err
	})
}

func (p *Process) reconnect(ctx context.Context, at *dockernet.EndpointIPAMConfig) error {
	_, err := p.docker.NetworkConnect(ctx, p.network.docker.ID, client.NetworkConnectOptions{
		Container:      p.container.ID,
		EndpointConfig: &dockernet.EndpointSettings{Aliases: []string{p.name}, IPAMConfig: at},
	})
	return err
}
