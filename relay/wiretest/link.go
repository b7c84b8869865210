package wiretest

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Quality is how a link is.
type Quality struct {
	Delay    time.Duration // each way
	Lag      time.Duration // more, of what comes over a connection that brings pushes
	Pace     int           // bytes per second and direction; 0: no limit
	Down     bool          // connections are cut, and no new ones come about
	LostUp   bool          // what the relay sends does not arrive; connections stay open
	LostDown bool          // what Redis sends does not
}

// Link is one relay's way to Redis: a proxy that can be slow, lossy, cut, and cut one way.
type Link struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex // guards what follows
	target  string
	is      Quality
	changed chan struct{} // closed when is changes
	first   time.Time     // when a connection came about first since then; zero: none did
	open    map[*pipe]bool
}

// pipe is one connection through a link.
type pipe struct {
	near, far net.Conn
	once      sync.Once
	ended     chan struct{}
	hung      atomic.Bool // it carries nothing any more
	deaf      atomic.Bool // what is published does not come through
}

// NewLink makes a link to a server. It lives as long as the test.
func NewLink(t testing.TB, target string) *Link {
	t.Helper()
	l := &Link{target: target, changed: make(chan struct{}), open: map[*pipe]bool{}}
	var err error
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		l.listener.Close()
		l.Set(Quality{Down: true})
		l.wg.Wait()
	})
	return l
}

// Address is where the relay finds its Redis.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Set changes how the link is.
func (l *Link) Set(is Quality) {
	l.mu.Lock()
	l.is, l.first = is, time.Time{}
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	if is.Down {
		l.Drop()
	}
}

// Lead has new connections go to another server.
func (l *Link) Lead(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// Drop ends all connections, once.
func (l *Link) Drop() { l.each((*pipe).end) }

// Hang leaves the connections that there are open, and they carry nothing any more.
func (l *Link) Hang() { l.each(func(p *pipe) { p.hung.Store(true) }) }

// Deafen has the connections that there are work as before, but for what is published.
func (l *Link) Deafen() { l.each(func(p *pipe) { p.deaf.Store(true) }) }

func (l *Link) each(do func(*pipe)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.open {
		do(p)
	}
}

// Cut drops all connections and lets no new ones come about until the link is mended.
func (l *Link) Cut() (mend func()) {
	was, _, _ := l.state()
	down := was
	down.Down = true
	l.Set(down)
	return func() { l.Set(was) }
}

// FirstConnected returns when a connection came about first since the link was last set.
func (l *Link) FirstConnected() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

func (l *Link) state() (is Quality, target string, changed chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is, l.target, l.changed
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		is, target, _ := l.state()
		if is.Down {
			near.Close()
			continue
		}
		far, err := net.DialTimeout("tcp", target, 5*time.Second)
		if err != nil {
			near.Close()
			continue
		}
		p := &pipe{near: near, far: far, ended: make(chan struct{})}
		l.add(p)
		l.wg.Go(func() { l.carry(p, near, far, false) })
		l.wg.Go(func() { l.carry(p, far, near, true) })
	}
}

func (l *Link) add(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is.Down { // since it was accepted
		p.end()
		return
	}
	l.open[p] = true
	if l.first.IsZero() {
		l.first = time.Now()
	}
}

func (p *pipe) end() {
	p.once.Do(func() {
		close(p.ended)
		p.near.Close()
		p.far.Close()
	})
}

// parcel is what is on its way.
type parcel struct {
	bytes []byte
	due   time.Time
}

// carry carries bytes one way, each at its time.
func (l *Link) carry(p *pipe, from, to net.Conn, down bool) {
	defer l.forget(p)
	way := make(chan parcel, 1<<12)
	defer close(way)
	l.wg.Go(func() {
		defer p.end()
		for b := range way {
			if !l.passes(p, b, down) {
				return
			}
			if _, err := to.Write(b.bytes); err != nil {
				return
			}
		}
	})
	buf, begun, pushes, free := make([]byte, 64<<10), []byte(nil), false, time.Now()
	for {
		n, err := from.Read(buf)
		read := buf[:n]
		switch {
		case err != nil:
			return
		case p.hung.Load():
			continue
		case down && p.deaf.Load():
			if read, begun = dropPublished(append(begun, read...)); len(read) == 0 {
				continue
			}
		}
		is, _, _ := l.state()
		pushes = pushes || down && bytes.HasPrefix(read, []byte(">3\r\n"))
		if now := time.Now(); free.Before(now) {
			free = now
		}
		if is.Pace > 0 {
			free = free.Add(time.Duration(len(read)) * time.Second / time.Duration(is.Pace))
		}
		due := free.Add(is.Delay)
		if pushes {
			due = due.Add(is.Lag)
		}
		select {
		case way <- parcel{bytes.Clone(read), due}:
		case <-p.ended:
			return
		}
	}
}

// published begins what Redis pushes of what was published: it has a channel and a message, each with its length.
const published = ">3\r\n$7\r\nmessage\r\n"

// dropPublished takes what was published out of what Redis sends, wherever it stands between answers. What has
// begun and is not all there is for the next time.
func dropPublished(b []byte) (rest, begun []byte) {
	for {
		i := bytes.Index(b, []byte(published))
		if i < 0 {
			return append(rest, b...), nil
		}
		rest = append(rest, b[:i]...)
		end := i + len(published)
		for range 2 {
			if end = bulkEnd(b, end); end < 0 {
				return rest, bytes.Clone(b[i:])
			}
		}
		b = b[end:]
	}
}

// bulkEnd returns where a bulk string ends that begins at from, or -1 if it is not all there.
func bulkEnd(b []byte, from int) (end int) {
	i := bytes.Index(b[from:], []byte("\r\n"))
	if i < 1 {
		return -1
	}
	n, _ := strconv.Atoi(string(b[from+1 : from+i]))
	if end = from + i + n + 4; end > len(b) {
		return -1
	}
	return end
}

// passes waits for a parcel's time, and until its direction is not lost.
func (l *Link) passes(p *pipe, b parcel, down bool) bool {
	select {
	case <-time.After(time.Until(b.due)):
	case <-p.ended:
		return false
	}
	for {
		is, _, changed := l.state()
		if down && !is.LostDown || !down && !is.LostUp {
			return true
		}
		select {
		case <-changed:
		case <-p.ended:
			return false
		}
	}
}

func (l *Link) forget(p *pipe) {
	p.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, p)
}
