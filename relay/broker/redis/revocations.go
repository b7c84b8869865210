package redis

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"setu/relay/broker"
)

// Bounds of what is done about revocations at a time.
const (
	revokedPage   = 128 << 10 // bytes read in one trip: some 2,000, which keep Redis busy for a few ms
	restoreBatch  = 64        // written back by one call
	forgetSample  = 256       // looked at, with each health check, for those that have expired
	maxAheadLinks = 4096      // pushes that are remembered until what stands before them was read
)

// revocations knows whose right to be connected has ended.
//
// Redis keeps what holds, and pushes what changes on a channel that every relay hears. Each change has
// a version: a number, and a tag that chains it to the change before. A relay holds all up to a
// version. A connection's first catch-up subscribes to the channel and then reads what came after that
// version, before anything is delivered; later, the health check tells which version Redis is at: if
// it is another one, what is missing is read. Where a relay's version is not of Redis' history, Redis
// has lost some: all is read then, and what this relay holds beyond it is written back.
//
// Which version it holds, a relay notes in Redis under its life, for those who wait for it.
type revocations struct {
	// immutable
	b    *Broker
	wake chan struct{} // something is to be read, written back or noted
	max  int           // stored at a time
	page int           // bytes read in one trip

	mu       sync.Mutex // guards what follows; held while tell is called, never across I/O
	tell     func([]broker.Revocation)
	held     map[string]heldRevocation // by subject
	at       version                   // all up to here are held
	ahead    []link                    // pushes of later changes, whose predecessors have not been seen
	clock    time.Duration             // what Redis' clock is ahead of ours
	reading  int                       // numbers readings; the newest counts
	busy     bool                      // one is under way
	stale    bool                      // Redis is at another version
	unstored bool                      // some that are held may not be in Redis
	life     string                    // that this relay's lease is of
	noted    notedVersion              // what Redis was told last
}

type heldRevocation struct {
	before, until int64
	number        uint64 // of the change that is stored; 0: not known to be
	reauth        bool
}

type notedVersion struct {
	life string
	at   version
}

// version is a state of what is stored: "<number>-<tag>". The zero one is of nothing.
type version struct {
	number uint64
	tag    string
}

func (v version) String() string {
	if v.number == 0 {
		return ""
	}
	return strconv.FormatUint(v.number, 10) + "-" + v.tag
}

func parseVersion(text string) (v version) {
	number, tag, _ := strings.Cut(text, "-")
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n == 0 {
		return version{}
	}
	return version{n, tag}
}

// link is a change that was pushed: what it leads to, and the tag of what it follows.
type link struct {
	to   version
	prev string
}

func newRevocations(b *Broker) *revocations {
	return &revocations{b: b, wake: make(chan struct{}, 1), max: broker.MaxRevocations, page: revokedPage, held: map[string]heldRevocation{}}
}

// revocation is what is held of a subject.
func (h heldRevocation) revocation(subject string) broker.Revocation {
	r, _ := broker.RevocationOf(subject)
	r.IssuedBefore, r.Until, r.Reauth = h.before, h.until, h.reauth
	return r
}

// now is Redis' clock. r.mu is held.
func (r *revocations) now() int64 { return time.Now().Add(r.clock).UnixMilli() }

// find returns what holds of a subject. r.mu is held.
func (r *revocations) find(subject string) (broker.Revocation, bool) {
	h, ok := r.held[subject]
	if !ok || h.until <= r.now() {
		return broker.Revocation{}, false
	}
	return h.revocation(subject), true
}

// IsRevoked implements broker.Broker.
func (b *Broker) IsRevoked(user, token, session string, issued int64) (broker.Revocation, bool) {
	r := b.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	return broker.FindRevoked(user, token, session, issued, r.find)
}

// OnRevoked implements broker.Broker.
func (b *Broker) OnRevoked(f func([]broker.Revocation)) {
	r := b.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell = f
	var all []broker.Revocation
	for subject := range r.held {
		if is, ok := r.find(subject); ok {
			all = append(all, is)
		}
	}
	if len(all) > 0 {
		f(all)
	}
}

// change is a revocation as Redis has it, since a change of what is stored.
type change struct {
	subject string
	is      broker.Revocation
	at      version
}

// add notes what Redis has of a subject, and returns what holds if that is news. r.mu is held.
func (r *revocations) add(s change) (now broker.Revocation, news bool) {
	was, had := r.find(s.subject)
	if had && s.is.Muted != "" && r.held[s.subject].number > s.at.number {
		return was, false // a later word is known already
	}
	if now = s.is; had {
		now = was.With(s.is)
	}
	if now.Until <= r.now() {
		return now, false
	}
	h := heldRevocation{now.IssuedBefore, now.Until, s.at.number, now.Reauth}
	switch later := r.held[s.subject].number; {
	case had && now == was && later > s.at.number: // a later change is known already
		h.number = later
	case now != s.is: // Redis has lost what was stricter
		h.number, r.unstored = 0, true
	}
	r.held[s.subject] = h
	return now, !had || now != was
}

// announce has what is new told. r.mu is held.
func (r *revocations) announce(news []broker.Revocation) {
	if r.tell != nil && len(news) > 0 {
		r.tell(news)
	}
}

// receive takes what was pushed: "<number> <previous tag> <tag> <issued before> <until> <reauth>
// <subject>". It is called on the connection's reader, and so before what is pushed later.
func (r *revocations) receive(text string) {
	part := strings.SplitN(text, " ", 7)
	if len(part) < 7 {
		return // no relay writes this
	}
	s, ok := parseChange(strings.Clone(part[6]), []string{part[0], part[2], part[3], part[4], part[5]})
	if s.at.number == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ok {
		if now, news := r.add(s); news {
			r.announce([]broker.Revocation{now})
		}
	}
	if s.at.number <= r.at.number {
		return // it was read before; or Redis has begun anew, which the health check finds
	}
	if len(r.ahead) < maxAheadLinks {
		r.ahead = append(r.ahead, link{s.at, part[1]})
	}
	if r.advance(); len(r.ahead) > 0 && !r.busy {
		r.stale = true
	}
	nudge(r.wake)
}

// advance moves over what was pushed and continues what is held. r.mu is held.
func (r *revocations) advance() {
	r.ahead = slices.DeleteFunc(r.ahead, func(l link) bool {
		if l.to.number == r.at.number+1 && l.prev == r.at.tag {
			r.at = l.to
		}
		return l.to.number <= r.at.number
	})
}

// parseChange reads "<number> <tag> <issued before> <until> <reauth>", and what a later version may
// add. A subject of a kind that is not known here is passed over.
func parseChange(subject string, part []string) (s change, ok bool) {
	if len(part) < 5 {
		return s, false
	}
	number, err := strconv.ParseUint(part[0], 10, 63)
	if err != nil {
		return s, false
	}
	s.subject, s.at = subject, version{number, part[1]}
	if s.is, ok = broker.RevocationOf(subject); !ok {
		return s, false
	}
	var err1, err2 error
	s.is.IssuedBefore, err1 = strconv.ParseInt(part[2], 10, 64)
	s.is.Until, err2 = strconv.ParseInt(part[3], 10, 64)
	s.is.Reauth = part[4] == "1"
	return s, err1 == nil && err2 == nil
}

// version returns up to which change all are held.
func (r *revocations) version() version {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// begin says under which life this relay has its lease now.
func (r *revocations) begin(life string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.life = life
	nudge(r.wake)
}

// compare takes what the health check says: which version Redis is at, and its clock. What could not
// be done before is tried again.
func (r *revocations) compare(at string, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = time.Until(time.UnixMilli(now))
	if at != r.at.String() && !r.busy {
		r.stale = true
	}
	if r.stale || r.unstored || r.isUnnoted() {
		nudge(r.wake)
	}
	r.forget()
}

// forget lets go of some that have expired: those of a sample and, as long as these are many, of
// another. r.mu is held.
func (r *revocations) forget() {
	now := r.now()
	for expired := forgetSample; expired > forgetSample/4; {
		expired = 0
		looked := 0
		for subject, h := range r.held { // in an order by chance
			if looked++; looked > forgetSample {
				break
			}
			if h.until <= now {
				delete(r.held, subject)
				expired++
			}
		}
	}
}

// isUnnoted reports whether Redis is to be told which version is held. r.mu is held.
func (r *revocations) isUnnoted() bool {
	return r.life != "" && r.at.number > 0 && r.noted != notedVersion{r.life, r.at}
}
