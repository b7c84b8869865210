package fakeredis

import (
	"bufio"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxUnread bounds what a client leaves unread, in bytes, as client-output-buffer-limit does for
// subscribers.
const maxUnread = 32 << 20

// session is one connection, as its server sees it.
type session struct {
	// immutable
	of     *Service
	on     *node
	link   *link
	number int64
	far    net.Conn // the client has the other end

	ended chan struct{} // closed by end
	once  sync.Once
	up    *way // from the client
	down  *way // to it

	// guarded by of.mu
	resp3      bool
	tracking   bool
	optin      bool
	caching    bool // the next command's keys are tracked
	subscribed map[string]bool
	multi      [][]string // commands since MULTI; nil: none
	deliver    int64      // what is on its way down, in bytes
}

// send queues a reply or a push. of.mu is held.
func (s *session) send(r any) {
	if _, pushed := r.(push); pushed && !s.resp3 && len(s.subscribed) == 0 {
		return
	}
	text := appendReply(nil, r, s.resp3)
	if s.deliver += int64(len(text)); s.deliver > maxUnread {
		s.end()
		return
	}
	s.down.put(text)
}

// end closes the connection; nothing more is carried.
func (s *session) end() {
	s.once.Do(func() {
		close(s.ended)
		s.far.Close()
	})
}

// serve reads commands as they arrive, until the connection ends.
func (s *session) serve() {
	defer s.end()
	r := bufio.NewReaderSize(s.up, 1<<16)
	for {
		args, err := readCommand(r)
		if err != nil || len(args) == 0 {
			return
		}
		if !s.of.thawed(s) {
			return
		}
		s.of.mu.Lock()
		s.handle(args)
		s.of.mu.Unlock()
	}
}

// handle runs one command of the client's. of.mu is held.
func (s *session) handle(args []string) {
	s.of.commands++
	n, name := s.on, strings.ToUpper(args[0])
	n.now, n.caller = n.clock(), s
	defer func() { n.caller = nil }()
	if s.multi != nil && name != "EXEC" && name != "DISCARD" {
		s.multi = append(s.multi, args)
		s.send(status("QUEUED"))
		return
	}
	switch name {
	case "SUBSCRIBE", "UNSUBSCRIBE":
		s.subscribe(name, args[1:])
		return
	case "MULTI":
		s.multi = [][]string{}
		s.send(status("OK"))
		return
	case "DISCARD":
		s.multi = nil
		s.send(status("OK"))
		return
	case "EXEC":
		s.exec()
		return
	}
	s.send(s.answer(name, args))
	n.settle()
	if name != "CLIENT" {
		s.caching = false
	}
}

func (s *session) exec() {
	if s.multi == nil {
		s.send(failure("ERR EXEC without MULTI"))
		return
	}
	all := s.multi
	s.multi = nil
	out := array{}
	for _, args := range all {
		out = append(out, s.answer(strings.ToUpper(args[0]), args))
	}
	s.send(out)
	s.on.settle()
	s.caching = false
}

// answer runs a command of the connection's own, or one of the data's.
func (s *session) answer(name string, args []string) any {
	switch name {
	case "HELLO":
		if len(args) > 1 {
			s.resp3 = args[1] == "3"
		}
		proto := int64(2)
		if s.resp3 {
			proto = 3
		}
		return mapping{"server", "redis", "version", "7.0.15", "proto", proto, "id", s.number, "mode", "standalone", "role", "master", "modules", array{}}
	case "AUTH", "SELECT", "READONLY":
		return status("OK")
	case "QUIT":
		return status("OK")
	case "CLIENT":
		return s.client(args[1:])
	}
	return s.on.run(args)
}

func (s *session) client(a []string) any {
	if len(a) == 0 {
		return errSyntax
	}
	switch strings.ToUpper(a[0]) {
	case "ID":
		return s.number
	case "CACHING":
		s.caching = len(a) > 1 && strings.EqualFold(a[1], "YES")
	case "TRACKING":
		s.tracking = len(a) > 1 && strings.EqualFold(a[1], "ON")
		s.optin = strings.Contains(strings.ToUpper(strings.Join(a, " ")), "OPTIN")
	case "SETINFO", "SETNAME", "NO-EVICT", "NO-TOUCH":
	default:
		return failure("ERR unknown subcommand '" + a[0] + "'. Try CLIENT HELP.")
	}
	return status("OK")
}

func (s *session) subscribe(name string, channels []string) {
	kind := strings.ToLower(name)
	if name == "UNSUBSCRIBE" && len(channels) == 0 {
		for c := range s.subscribed {
			channels = append(channels, c)
		}
		if len(channels) == 0 {
			s.send(push{kind, nil, int64(0)})
			return
		}
	}
	for _, c := range channels {
		if name == "SUBSCRIBE" {
			s.subscribed[c] = true
			s.down.lag = true
		} else {
			delete(s.subscribed, c)
		}
		s.send(push{kind, c, int64(len(s.subscribed))})
	}
}

func (s *session) String() string { return s.link.name + " " + strconv.FormatInt(s.number, 10) }

// way carries bytes one way, each after the link's delay and at its pace, in their order. It is an
// io.Reader of what has arrived.
type way struct {
	s    *session
	back bool // to the client
	lag  bool // it belongs to a subscription: guarded by Service.mu

	mu      sync.Mutex
	chance  *rand.Rand
	changed *sync.Cond // on mu
	queue   []parcel
	free    time.Time // when the line has carried all that was put
	ended   bool
	rest    []byte
}

type parcel struct {
	bytes []byte
	due   time.Time
}

func newWay(s *session, back bool, chance *rand.Rand) *way {
	w := &way{s: s, back: back, chance: chance}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// put sends bytes off.
func (w *way) put(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delay, pace := w.s.link.travel(w.chance, w.back && w.lag)
	now := time.Now()
	if w.free.Before(now) {
		w.free = now
	}
	if pace > 0 {
		w.free = w.free.Add(time.Duration(len(b)) * time.Second / time.Duration(pace))
	}
	due := w.free.Add(delay)
	if n := len(w.queue); n > 0 && due.Before(w.queue[n-1].due) {
		due = w.queue[n-1].due
	}
	w.queue = append(w.queue, parcel{b, due})
	w.changed.Signal()
}

func (w *way) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.changed.Broadcast()
}

// next waits for what arrives next.
func (w *way) next() ([]byte, bool) {
	w.mu.Lock()
	for len(w.queue) == 0 && !w.ended {
		w.changed.Wait()
	}
	if w.ended {
		w.mu.Unlock()
		return nil, false
	}
	p := w.queue[0]
	w.queue = w.queue[1:]
	w.mu.Unlock()
	if wait := time.Until(p.due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.s.ended:
			return nil, false
		}
	}
	return p.bytes, w.s.link.passes(w.s, w.back)
}

// Read implements io.Reader.
func (w *way) Read(b []byte) (int, error) {
	for len(w.rest) == 0 {
		var ok bool
		if w.rest, ok = w.next(); !ok {
			return 0, net.ErrClosed
		}
	}
	n := copy(b, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}
