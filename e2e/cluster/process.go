package cluster

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"testing"

	"github.com/moby/moby/api/types/container"
	dockernet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
)

// Process is what Redis and a relay have in common: a container that a test can
// stop, kill, freeze and cut off, under an address that outlives all of it.
// Its methods fail the test that started it, so call them from its goroutine.
type Process struct {
	// Immutable after start.
	t         testing.TB
	name      string
	port      int // on the loopback of the host
	network   *Network
	docker    *testcontainers.DockerClient
	container *testcontainers.DockerContainer
	ready     func(context.Context) error // nil when it serves

	address netip.Addr // in the network, kept while cut off
}

// start runs a container and waits until it is ready.
func start(t testing.TB, network *Network, name, image, port string, ready func(*Process) func(context.Context) error, options ...testcontainers.ContainerCustomizer) *Process {
	t.Helper()
	hostPort, err := freePort()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	p := &Process{t: t, name: name, port: hostPort, network: network}
	p.ready = ready(p)

	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if p.docker, err = testcontainers.NewDockerClientWithOpts(ctx); err != nil {
		t.Fatalf("%s: connect to Docker: %v", name, err)
	}
	t.Cleanup(func() { _ = p.docker.Close() })
	p.container, err = testcontainers.Run(ctx, image, append(options, p.placement(port))...)
	testcontainers.CleanupContainer(t, p.container, testcontainers.StopTimeout(0))
	if err != nil {
		t.Fatalf("%s: start %s: %v", name, image, err)
	}
	// After the container's own cleanup, hence run before it.
	t.Cleanup(p.showLogs)
	t.Cleanup(p.findSecrets)
	p.AwaitReady()
	return p
}

// placement puts a container on the default bridge, which publishes its port on
// the host, and on the test's network, which may be taken away from it.
func (p *Process) placement(port string) testcontainers.CustomizeRequestOption {
	return func(req *testcontainers.GenericContainerRequest) error {
		req.ExposedPorts = []string{port}
		bind := testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.PortBindings = dockernet.PortMap{
				dockernet.MustParsePort(port): {{HostIP: netip.MustParseAddr(loopback), HostPort: strconv.Itoa(p.port)}},
			}
		})
		if err := bind(req); err != nil {
			return err
		}
		// First, since only its first network publishes a container's ports.
		req.Networks = []string{testcontainers.Bridge}
		return network.WithNetwork([]string{p.name}, p.network.docker)(req)
	}
}

// Name is what the others in the network call it.
func (p *Process) Name() string { return p.name }

// Address is the host and port where the test reaches it, the same for its
// whole life.
func (p *Process) Address() string { return net.JoinHostPort(loopback, strconv.Itoa(p.port)) }

// AwaitReady waits until it serves: for a relay /readyz, for Redis PING.
func (p *Process) AwaitReady() {
	p.t.Helper()
	p.do("await ready", func(ctx context.Context) error {
		return poll(ctx, func(ctx context.Context) error {
			err := p.ready(ctx)
			// One that has died will not get ready: say so now.
			if state, stateErr := p.container.State(ctx); err != nil && stateErr == nil && !state.Running {
				p.t.Fatalf("%s: exited with code %d before it was ready", p.name, state.ExitCode)
			}
			return err
		})
	})
}

// Start starts it again after Stop, Kill or Term, and waits until it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.StartUnready()
	p.AwaitReady()
}

// StartUnready is Start for what cannot get ready yet.
func (p *Process) StartUnready() {
	p.t.Helper()
	p.do("start", func(ctx context.Context) error {
		_, err := p.docker.ContainerStart(ctx, p.container.ID, client.ContainerStartOptions{})
		return err
	})
}

// Term sends SIGTERM, waits for the end, and returns the exit code.
func (p *Process) Term() int {
	p.t.Helper()
	p.Signal("SIGTERM")
	return p.AwaitExit()
}

// Kill ends it without a word: SIGKILL.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal("SIGKILL")
	p.AwaitExit()
}

// Signal sends a signal ("SIGTERM") and does not wait for what comes of it.
func (p *Process) Signal(signal string) {
	p.t.Helper()
	p.do("send "+signal, func(ctx context.Context) error {
		_, err := p.docker.ContainerKill(ctx, p.container.ID, client.ContainerKillOptions{Signal: signal})
		return err
	})
}

// AwaitExit waits until it has ended, and returns the exit code.
func (p *Process) AwaitExit() (code int) {
	p.t.Helper()
	p.do("await exit", func(ctx context.Context) error {
		wait := p.docker.ContainerWait(ctx, p.container.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case end := <-wait.Result:
			code = int(end.StatusCode)
			return nil
		case err := <-wait.Error:
			return err
		}
	})
	return code
}

// do runs one step against Docker and fails the test, by name, when it fails.
func (p *Process) do(what string, step func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), startTimeout)
	defer cancel()
	if err := step(ctx); err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, what, err)
	}
}
