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

// gated is a connection of a relay's.
type gated struct {
	net.Conn
	gate  *gate
	once  sync.Once
	ended chan struct{}
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
	c.gate.wait(c.ended)
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *gated) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}
