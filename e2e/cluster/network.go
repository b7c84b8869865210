package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"

	dockernet "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
)

const loopback = "127.0.0.1"

// Network is what the containers of one test reach one another by, each under
// its name. It is apart from Docker's default bridge, through which the test
// reaches them: so a relay can lose its Redis and keep its members.
type Network struct {
	docker *testcontainers.DockerNetwork
}

// NewNetwork makes a network that lives as long as the test.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()

	var created *testcontainers.DockerNetwork
	var err error
	// A subnet of our own choosing, because only there may a container come back
	// under its old address. It may be taken: then another.
	for range 20 {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(64 + rand.IntN(128)), byte(rand.IntN(256)), 0}), 24)
		// Internal, lest it become what publishes a container's ports: then cutting a
		// relay from it would cut the relay's members, too.
		created, err = network.New(ctx, network.WithInternal(), network.WithIPAM(&dockernet.IPAM{
			Config: []dockernet.IPAMConfig{{Subnet: subnet}},
		}))
		if err == nil {
			testcontainers.CleanupNetwork(t, created)
			return &Network{docker: created}
		}
	}
	t.Fatalf("create network: %v", err)
	return nil
}

var (
	portsMu    sync.Mutex
	portsTaken = map[int]bool{}
)

// freePort reserves a port on the loopback for one container's whole life: a
// port that Docker picks would change with every start. It lies below the range
// from which the kernel takes ports for outgoing connections, one of which might
// sit on it while the container is down.
func freePort() (int, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 200 {
		port := 20000 + rand.IntN(12000)
		if portsTaken[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, err
		}
		portsTaken[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("no free port between 20000 and 32000")
}
