package engine

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

// stock is a client that upgrades as engine.io-client does: it polls all the time and posts what
// has gathered, one POST at a time; once the probe is answered it begins neither any more, waits
// for both to return, and goes on by the WebSocket.
type stock struct {
	// immutable after newStock
	p *wiretest.Poller

	mu     sync.Mutex
	change sync.Cond // on mu

	// guarded by mu
	waiting   []string       // packets to be sent
	upgrading bool           // the probe was answered: no new request
	polling   bool           // a GET is under way
	posting   bool           // a POST is under way
	ws        *wiretest.Peer // set once the upgrade is over
	heard     []int
	failed    error
}

func newStock(p *wiretest.Poller) *stock {
	c := &stock{p: p}
	c.change.L = &c.mu
	return c
}

func (c *stock) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
	c.change.Broadcast()
}

// send hands a packet over, whatever the transport is just then.
func (c *stock) send(packet string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, packet)
	c.change.Broadcast()
}

// hear takes a number that the relay sent.
func (c *stock) hear(data string) {
	n, err := strconv.Atoi(data)
	if err != nil {
		c.fail(fmt.Errorf("heard %q", data))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, n)
	c.change.Broadcast()
}

// poll sends GETs, one after the other, until the upgrade.
func (c *stock) poll() {
	for {
		c.mu.Lock()
		if c.upgrading || c.failed != nil {
			c.mu.Unlock()
			return
		}
		c.polling = true
		c.mu.Unlock()
		got := c.p.Get()
		if got.Err != nil || got.Status != 200 {
			c.fail(fmt.Errorf("GET: %d %.100q %w", got.Status, got.Body, got.Err))
		} else {
			for _, s := range strings.Split(got.Body, "\x1e") {
				c.take(s)
			}
		}
		c.mu.Lock()
		c.polling = false
		c.change.Broadcast()
		c.mu.Unlock()
	}
}

// take handles a packet of a poll.
func (c *stock) take(s string) {
	switch {
	case s == "6":
	case strings.HasPrefix(s, "4"):
		c.hear(s[1:])
	case strings.HasPrefix(s, "b"):
		b, err := base64.StdEncoding.DecodeString(s[1:])
		if err != nil {
			c.fail(err)
		}
		c.hear(string(b))
	default:
		c.fail(fmt.Errorf("heard %.100q", s))
	}
}

// write sends what waits until total packets are out.
func (c *stock) write(total int) {
	for sent := 0; sent < total; {
		c.mu.Lock()
		for (len(c.waiting) == 0 || c.upgrading && c.ws == nil) && c.failed == nil {
			c.change.Wait()
		}
		batch, ws := c.waiting, c.ws
		c.waiting = nil
		c.posting = ws == nil
		over := c.failed != nil
		c.mu.Unlock()
		if over {
			return
		}
		sent += len(batch)
		if ws != nil {
			c.writeFrames(ws, batch)
			continue
		}
		if got := c.p.Post(strings.Join(batch, "\x1e")); got.Err != nil || got.Body != "ok" {
			c.fail(fmt.Errorf("POST: %d %.100q %w", got.Status, got.Body, got.Err))
		}
		c.mu.Lock()
		c.posting = false
		c.change.Broadcast()
		c.mu.Unlock()
	}
}

func (c *stock) writeFrames(ws *wiretest.Peer, batch []string) {
	for _, s := range batch {
		frame := wiretest.ClientFrame(0x81, []byte(s))
		if data, ok := strings.CutPrefix(s, "b"); ok {
			b, _ := base64.StdEncoding.DecodeString(data)
			frame = wiretest.ClientFrame(0x82, b)
		}
		if _, err := ws.Conn.Write(frame); err != nil {
			c.fail(err)
		}
	}
}

// upgrade goes over to the WebSocket, and reads from it until the end. It may leave out the probe.
func (c *stock) upgrade(r *rig, probe bool) {
	k := wiretest.UpgradeTo(r.T, r.Dial(), c.p.SID)
	if probe {
		k.Text("2probe")
		k.Expect("3probe")
	}
	c.mu.Lock()
	c.upgrading = true
	c.change.Broadcast()
	for (c.polling || c.posting) && c.failed == nil {
		c.change.Wait()
	}
	c.mu.Unlock()
	k.Text("5")
	c.mu.Lock()
	c.ws = k
	c.change.Broadcast()
	c.mu.Unlock()
	for {
		head, err := k.Reader.Peek(2)
		if err != nil {
			return
		}
		if head[0] == 0x82 {
			b, err := readBinary(k)
			if err != nil {
				c.fail(err)
				return
			}
			c.hear(string(b))
			continue
		}
		f, err := wiretest.ReadFrame(k.Reader)
		if err != nil || f.Op == wiretest.OpClose {
			_ = k.Conn.Close()
			return
		}
		if len(f.Payload) == 0 || f.Payload[0] != '4' {
			c.fail(fmt.Errorf("frame %x %.100q", f.Op, f.Payload))
			return
		}
		c.hear(string(f.Payload[1:]))
	}
}

// awaitRest waits until the client begins no request any more.
func (c *stock) awaitRest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.upgrading && c.failed == nil {
		c.change.Wait()
	}
}

// await waits until the client has upgraded and heard n messages.
func (c *stock) await(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := time.AfterFunc(5*time.Minute, func() { c.fail(errors.New("it takes too long")) })
	defer timer.Stop()
	for (len(c.heard) < n || c.ws == nil) && c.failed == nil {
		c.change.Wait()
	}
	for i, got := range c.heard {
		if got != i {
			return fmt.Errorf("heard %d, want %d (%w)", got, i, c.failed)
		}
	}
	return c.failed
}

// upgradeUnderLoad upgrades one client, one in three without a probe, while messages are under way
// both ways, text and binary, and checks the order at both ends.
func upgradeUnderLoad(t *testing.T, r *rig, seed uint64, n int) {
	g := rand.New(rand.NewPCG(seed, 7))
	c := newStock(r.Poll())
	s := r.srv.session(c.p.SID)
	start, rest := g.IntN(n*3/4), 1+g.IntN(40) // when the upgrade begins, how often senders rest
	var work, reading sync.WaitGroup
	reading.Go(c.poll)
	work.Go(func() { c.write(n) })
	begin := make(chan struct{})
	work.Go(func() {
		for i := range n {
			if i == start {
				close(begin)
			}
			if i%7 == 3 {
				c.send("b" + base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(i))))
			} else {
				c.send("4" + strconv.Itoa(i))
			}
			if i%rest == 0 {
				<-time.After(100 * time.Microsecond)
			}
		}
	})
	work.Go(func() {
		for i := range n {
			if i == n-1 {
				c.awaitRest() // without a probe nothing but a message lets a GET go that waits
			}
			if !s.Send(engineio.NewMessage([]byte(strconv.Itoa(i)), i%5 == 2)) {
				c.fail(errors.New("the outbox refused"))
			}
			if i%rest == 0 {
				<-time.After(100 * time.Microsecond)
			}
		}
	})
	<-begin
	reading.Go(func() { c.upgrade(r, seed%3 > 0) })
	err := c.await(n)
	work.Wait()
	h := s.handler.(*tape)
	for end := time.Now().Add(time.Minute); err == nil && h.count() < n && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	if err == nil {
		_, err = c.ws.Conn.Write(wiretest.ClientFrame(0x81, []byte("1")))
	}
	if err != nil {
		s.close(closeNormal, "", true)
		t.Errorf("seed %d: %v", seed, err)
	}
	reading.Wait()
	c.p.Web.CloseIdleConnections()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, got := range h.heard {
		if got != strconv.Itoa(i) {
			t.Errorf("seed %d: the relay heard %q, want %d", seed, got, i)
			return
		}
	}
	if len(h.heard) != n {
		t.Errorf("seed %d: the relay heard %d of %d", seed, len(h.heard), n)
	}
}

func (h *tape) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.heard)
}

// Nothing is lost, doubled or out of order in an upgrade. SETU_UPGRADES sets how many to try,
// SETU_SEED the first seed.
func TestUpgradeUnderLoad(t *testing.T) {
	upgrades, seed := 50, uint64(0)
	if n, err := strconv.Atoi(os.Getenv("SETU_UPGRADES")); err == nil {
		upgrades = n
	}
	if n, err := strconv.ParseUint(os.Getenv("SETU_SEED"), 10, 64); err == nil {
		seed = n
	}
	r := overTCP(t, tapes(func(*Session, []byte, bool) error { return nil }), "PING_INTERVAL=1h") // the clients answer no pings
	var all sync.WaitGroup
	turn := make(chan struct{}, 4)
	for i := range upgrades {
		turn <- struct{}{}
		all.Go(func() {
			upgradeUnderLoad(t, r, seed+uint64(i), 1000)
			<-turn
		})
	}
	all.Wait()
	awaitGone(t, r)
}
