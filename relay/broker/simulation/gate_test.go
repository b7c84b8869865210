package simulation

import (
	"net"
	"sync"
)

// gate stops what a relay reads and writes while it is frozen, as SIGSTOP does but for the relay's own
// timers, which run on.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when it opens; nil while it is open
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) wait(ended chan struct{}) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return
	}
	select {
	case <-shut:
	case <-ended:
	}
}

// frozenBytes is how much of what a frozen relay writes its machine takes for each connection: its writers
// hold locks meanwhile, on which nobody must wait for long in a bubble.
const frozenBytes = 1 << 20

// gated is a connection of a relay's.
type gated struct {
	net.Conn
	gate  *gate
	once  sync.Once
	ended chan struct{}

	mu   sync.Mutex // guards held
	held []byte     // written while the relay was frozen
}

func (g *gate) conn(c net.Conn) net.Conn {
	return &gated{Conn: c, gate: g, ended: make(chan struct{})}
}

// Read implements net.Conn.
func (c *gated) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.gate.wait(c.ended)
	return n, err
}

// Write implements net.Conn.
func (c *gated) Write(p []byte) (int, error) {
	select {
	case <-c.ended:
		return 0, net.ErrClosed
	default:
	}
	c.mu.Lock()
	if len(c.held) > 0 || c.gate.isShut() {
		defer c.mu.Unlock()
		if len(c.held)+len(p) > frozenBytes {
			return 0, net.ErrClosed
		}
		if len(c.held) == 0 {
			go c.flush()
		}
		c.held = append(c.held, p...)
		return len(p), nil
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// flush writes what was held once the relay goes on.
func (c *gated) flush() {
	c.gate.wait(c.ended)
	for {
		c.mu.Lock()
		b := c.held
		c.mu.Unlock()
		if _, err := c.Conn.Write(b); err != nil {
			return
		}
		c.mu.Lock()
		c.held = c.held[len(b):]
		done := len(c.held) == 0
		c.mu.Unlock()
		if done {
			return
		}
	}
}

// Close implements net.Conn.
func (c *gated) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}
