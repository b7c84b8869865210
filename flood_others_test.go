//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/e2e/load/fleet"
	"setu/e2e/swarm"
)

// others are clients that talk while somebody floods.
type others struct {
	clients []*swarm.Client
	turn    atomic.Uint64
}

// newOthers connects clients, of which each is in the lobby.
func newOthers(t *testing.T, address string) *others {
	o := &others{}
	for i := range 10 {
		c, err := swarm.Dial(address, swarm.Auth{Name: fmt.Sprint("other-", i), Key: fmt.Sprint("0123456789abcdef", i)}, swarm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := c.Join("lobby"); err != nil {
			t.Fatal(err)
		}
		o.clients = append(o.clients, c)
	}
	return o
}

// took is how long what the others publish takes to be answered, half of it, and all but 1 %; what the relay has to
// do until then, for whomever, which is what it would take if nothing else ran on the machine; and how busy
// the relay is, in percent of a processor.
type took struct {
	p50, p99 time.Duration
	work99   time.Duration
	busy     int
}

func (k took) String() string {
	return fmt.Sprintf("%8s %8s %8s %3d%%", k.p50.Round(10*time.Microsecond), k.p99.Round(10*time.Microsecond),
		k.work99.Round(10*time.Microsecond), k.busy)
}

// least returns the less of each, if k has been measured.
func (k took) least(other took) took {
	if k.p99 == 0 {
		return other
	}
	return took{min(k.p50, other.p50), min(k.p99, other.p99), min(k.work99, other.work99), min(k.busy, other.busy)}
}

// measure has the others publish for a while.
func (o *others) measure(t *testing.T, relay int, d time.Duration) took {
	t.Helper()
	cpu := func() time.Duration {
		used, err := fleet.CPU(relay)
		if err != nil {
			t.Error(err)
		}
		return used
	}
	before, began := cpu(), time.Now()
	var mu sync.Mutex
	var all, work []time.Duration
	var wg sync.WaitGroup
	until := time.Now().Add(d)
	for _, c := range o.clients {
		wg.Go(func() {
			for first := true; first || time.Now().Before(until); first = false {
				start, did := time.Now(), cpu()
				if err := o.publish(c); err != nil {
					t.Error("one of the others: ", err)
					return
				}
				mu.Lock()
				all, work = append(all, time.Since(start)), append(work, cpu()-did)
				mu.Unlock()
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	if len(all) == 0 {
		t.Fatal("nobody was answered")
	}
	slices.Sort(all)
	slices.Sort(work)
	busy := int(100 * (cpu() - before) / time.Since(began))
	return took{all[len(all)/2], all[len(all)*99/100], work[len(work)*99/100], busy}
}

// neighbour connects a client from the flooders' address, which goes on to publish a little until leave is called. That
// returns how long it had to wait for an answer at most.
func neighbour(t *testing.T, address string, from net.IP) (leave func() (longest time.Duration)) {
	c, err := swarm.Dial(address, swarm.Auth{Name: "neighbour"}, swarm.Options{From: from})
	if err == nil {
		err = c.Join("lobby")
	}
	if err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	var publishes sync.WaitGroup
	over := make(chan struct{})
	publishes.Go(func() {
		for next := (&others{}); ; {
			start := time.Now()
			if err := next.publish(c); err != nil {
				t.Error("the flooders' neighbour: ", err)
				return
			}
			longest = max(longest, time.Since(start))
			select {
			case <-over:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() time.Duration {
		close(over)
		publishes.Wait()
		c.Close()
		return longest
	}
}

// publish publishes, and waits for the answer.
func (o *others) publish(c *swarm.Client) error {
	id := o.turn.Add(1)
	if err := c.Write(fmt.Sprintf(`2%d["publish",{"room":"lobby","data":%d}]`, id, id)); err != nil {
		return err
	}
	for want := fmt.Sprintf("3%d[", id); ; {
		packet, err := c.Next()
		if err != nil || bytes.HasPrefix(packet, []byte(want)) {
			return err
		}
	}
}

// sink is a server that does as little as can be for a flood, in the flooders' own process: what a flood of it costs
// the others is what the machine costs them, not the relay.
func sink(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(c)
		}
	}()
	return l.Addr().String()
}

// swallow answers requests with next to nothing, and reads what a WebSocket brings until it is closed.
func swallow(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if strings.Contains(r.URL.RawQuery, "websocket") && r.URL.Query().Get("sid") == "" {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(io.Discard, in)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"+`"sid":"x"`)
	}
}
