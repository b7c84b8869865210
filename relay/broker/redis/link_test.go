package redis_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// link is one relay's way to Redis: a proxy that can be broken.
type link struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu   sync.Mutex
	cut  bool
	open map[*pipe]bool
}

// pipe is one connection through a link.
type pipe struct {
	near, far net.Conn
	hung      chan struct{} // closed: it carries nothing any more
	deaf      atomic.Bool   // what is published does not come through
	ended     chan struct{}
	once      sync.Once
}

func newLink(t *testing.T, target string) *link {
	l := &link{target: target, open: map[*pipe]bool{}}
	var err error
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		l.listener.Close()
		l.Cut()
		l.wg.Wait()
	})
	return l
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		cut := l.cut
		l.mu.Unlock()
		var far net.Conn
		if !cut {
			far, err = net.Dial("tcp", l.target)
		}
		if cut || err != nil {
			near.Close()
			continue
		}
		p := &pipe{near: near, far: far, hung: make(chan struct{}), ended: make(chan struct{})}
		l.mu.Lock()
		l.open[p] = true
		l.mu.Unlock()
		l.wg.Go(func() { l.carry(p, near, far) })
		l.wg.Go(func() { l.carry(p, far, near) })
	}
}

func (l *link) carry(p *pipe, from, to net.Conn) {
	defer l.close(p)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-p.hung:
			<-p.ended
			return
		default:
		}
		if p.deaf.Load() && bytes.HasPrefix(buf[:n], []byte(">3\r\n$7\r\nmessage\r\n")) {
			continue
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (l *link) close(p *pipe) {
	l.mu.Lock()
	delete(l.open, p)
	l.mu.Unlock()
	p.once.Do(func() { close(p.ended) })
	p.near.Close()
	p.far.Close()
}

func (l *link) pipes() (all []*pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.open {
		all = append(all, p)
	}
	return all
}

// Drop closes all connections.
func (l *link) Drop() {
	for _, p := range l.pipes() {
		l.close(p)
	}
}

// Cut drops all connections and lets no new ones come about.
func (l *link) Cut() (mend func()) {
	l.setCut(true)
	l.Drop()
	return func() { l.setCut(false) }
}

func (l *link) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

// Hang leaves the connections that there are open, but they carry nothing any more.
func (l *link) Hang() {
	for _, p := range l.pipes() {
		close(p.hung)
	}
}

// Deafen has the connections that there are work as before, but for what is published.
func (l *link) Deafen() {
	for _, p := range l.pipes() {
		p.deaf.Store(true)
	}
}
