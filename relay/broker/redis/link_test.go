package redis_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// link is one relay's way to Redis: a proxy that can be broken.
type link struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	delay atomic.Int64 // ns that bytes take each way, of connections made from now on
	first atomic.Int64 // when a connection came about first since it was set to 0, ns since 1970
	lag   atomic.Int64 // ns more that bytes take from Redis, on connections that bring pushes

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
	pushes    atomic.Bool // it is a subscription
}

func newLink(t testing.TB, target string) *link {
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
			far, err = net.Dial("tcp", l.to())
		}
		if cut || err != nil {
			near.Close()
			continue
		}
		l.first.CompareAndSwap(0, time.Now().UnixNano())
		p := &pipe{near: near, far: far, hung: make(chan struct{}), ended: make(chan struct{})}
		l.mu.Lock()
		l.open[p] = true
		l.mu.Unlock()
		l.wg.Go(func() { l.carry(p, near, far) })
		l.wg.Go(func() { l.carry(p, far, near) })
	}
}

// late is what is on its way.
type late struct {
	bytes []byte
	due   time.Time
}

// carry carries bytes one way, each after the link's delay, and in their order.
func (l *link) carry(p *pipe, from, to net.Conn) {
	defer l.close(p)
	way := make(chan late, 1<<12)
	defer close(way)
	l.wg.Go(func() {
		defer l.close(p)
		for b := range way {
			select {
			case <-time.After(time.Until(b.due)):
			case <-p.ended:
				return
			}
			if _, err := to.Write(b.bytes); err != nil {
				return
			}
		}
	})
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
		wait := time.Duration(l.delay.Load())
		if from == p.far {
			if bytes.HasPrefix(buf[:n], []byte(">3\r\n")) {
				p.pushes.Store(true)
			}
			if p.pushes.Load() {
				wait += time.Duration(l.lag.Load())
			}
		}
		select {
		case way <- late{bytes.Clone(buf[:n]), time.Now().Add(wait)}:
		case <-p.ended:
			return
		}
		if err != nil {
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

func (l *link) to() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.target
}

// Lead has new connections go to another server.
func (l *link) Lead(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
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
