package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"setu/e2e/judge"
	"setu/relay/broker/simulation/fakeredis"
)

var (
	cities = []string{"tokyo", "lagos", "quito", "perth"}
	people = []string{"asha", "ben", "cleo", "dev", "eun", "femi", "gita", "hugo"}
)

// plan is what a world is made of: all of it comes from the seed, so that steps can be left out and
// the rest stays as it was.
type plan struct {
	seed     uint64
	relays   int
	members  int
	rooms    int
	history  int
	ttl      time.Duration
	recovery time.Duration
	lease    time.Duration
	link     fakeredis.Link
	pad      int  // bytes that each message has more than it needs
	told     bool // an app is told of presence
	steps    []step
}

// world is a run of a plan.
type world struct {
	plan    plan
	redis   *fakeredis.Service
	j       *journal
	rooms   []string
	chance  *rand.Rand
	running sync.WaitGroup
	ended   chan struct{} // closed when the world ends

	// owned by the driver
	nodes     []*node // by slot
	lives     []int
	members   []*member
	said      []*publication // in the order of asking
	lastFault time.Time      // when something was last done to Redis or to its links
	refusing  string
	eased     time.Time // when Redis took or answered again
	frozen    bool
	lossy     bool // Redis has lost something
	evicted   bool // a key was taken from it
	evictedAt time.Time
	epoch     string // that Redis was first seen in
	noisy     int    // goroutines after the first calm

	rateAt       time.Time // when commands were last counted
	rateCommands uint64
	rateSaid     int

	mu           sync.Mutex // guards what follows
	flickers     []flicker
	orphans      map[string]time.Time // users who are to leave, since their relay was killed
	refusedSince time.Time            // since when Redis takes nothing that is written; zero: it does
	guests       []*member            // observers
	byUser       map[string]string
	byData       map[string]*publication
	annotated    []said
	saidOf       bool // somebody has asked to annotate
	verdict      verdict
	app          app
}

// publication is something that a member wanted to say.
type publication struct {
	by     *member
	room   string
	name   string // in the story
	id     string // empty while the relay is to make one up and has not said which
	data   string
	asked  time.Time
	acked  time.Time // zero: not yet
	over   *node     // that acknowledged it
	offset string
	own    string       // the id that its publisher knows it by: it has made it up, or was told
	told   bool         // it was refused, and may be tried again
	event  *judge.Event // says that it was asked
}

// verdict is what a world came to.
type verdict struct {
	faults      []string
	steps       int
	hours       float64
	told        int // notices, each once
	doubled     int // and how often one came again
	resets      int
	resumed     int
	recovered   int
	unrecovered int
	stored      int
	refused     int
	slowestJoin time.Duration
	done        map[string]int // faults brought about, by kind
	commands    uint64
	story       string
}

// expires is a time in which nothing expires.
const expires = 24 * time.Hour

// maxFaults bounds the faults told of one world.
const maxFaults = 12

// fault notes a promise broken. w.mu is not held.
func (w *world) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.mu.Lock()
	tell := len(w.verdict.faults) < maxFaults && !slices.Contains(w.verdict.faults, text)
	if tell {
		w.verdict.faults = append(w.verdict.faults, text)
	}
	w.mu.Unlock()
	if tell {
		w.j.add("!", nil, "FAULT: %s", text)
	}
}

func (w *world) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

func (w *world) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.verdict.faults, isNews)
}

// isNews reports whether a fault is of a kind that is not known yet.
func isNews(fault string) bool {
	return (*allFlag || known[kind(fault)] == "") && !slices.Contains(strings.Split(*ignored, ","), kind(fault))
}

// run plays a plan in a bubble of its own.
func run(t *testing.T, p plan) (v verdict) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // goroutines that are ready at one instant run in one order
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, p.seed)
		w := newWorld(p)
		w.play()
		v = w.finish()
	})
	return v
}

func newWorld(p plan) *world {
	w := &world{plan: p, redis: fakeredis.New(p.seed), j: &journal{began: time.Now()}, chance: rand.New(rand.NewPCG(p.seed, 11)),
		ended: make(chan struct{}), nodes: make([]*node, p.relays), lives: make([]int, p.relays),
		byUser: map[string]string{}, orphans: map[string]time.Time{}, byData: map[string]*publication{}, verdict: verdict{done: map[string]int{}}}
	for i := range p.rooms {
		w.rooms = append(w.rooms, fmt.Sprintf("room%d", i+1))
	}
	for i := range p.relays {
		w.start(i)
	}
	for i := range p.members {
		key := fmt.Sprintf("key-of-%s-0123456789", people[i])
		if i%4 == 3 { // the same person as the one before, with another tab
			key = fmt.Sprintf("key-of-%s-0123456789", people[i-1])
		}
		w.members = append(w.members, newMember(w, people[i], key))
	}
	return w
}

// play takes the steps until one shows a fault.
func (w *world) play() {
	w.wait(5 * time.Second)
	for i, m := range w.members {
		m.come(w.nodes[i%len(w.nodes)], false)
	}
	w.wait(time.Second)
	for _, s := range w.plan.steps {
		w.verdict.steps++
		w.take(s)
		if w.broken() {
			return
		}
	}
}

// wait lets time pass, and looks at the relays each second.
func (w *world) wait(d time.Duration) {
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		w.j.pass()
		w.look()
		left := time.Until(end)
		if left <= 0 {
			return
		}
		<-time.After(min(left, time.Second))
	}
}

func (w *world) everybody() []*member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Concat(w.members, w.guests)
}

// know notes whose public id that is.
func (w *world) know(user, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.orphans, user)
	if w.byUser[user] == "" {
		w.byUser[user] = name
	}
}

// learn notes under which id something that was said without one is known.
func (w *world) learn(in message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.byData[in.Data]; p != nil && p.id == "" {
		w.name(p, in.ID)
	}
}

// name gives a publication the id that a relay made up. w.mu is held.
func (w *world) name(p *publication, id string) {
	p.id = id
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	p.event.Message.ID, p.event.Kind = id, judge.Publishing
}

// finish ends the world and judges it.
func (w *world) finish() verdict {
	synctest.Wait()
	w.j.mu.Lock()
	w.j.over = true
	w.j.mu.Unlock()
	if !w.broken() {
		w.judge()
	}
	w.redis.Thaw()
	w.redis.Refuse("")
	for _, m := range w.everybody() {
		m.leave("")
	}
	for _, n := range w.nodes {
		n.thaw()
		if !n.dead {
			n.end(0)
		}
	}
	close(w.ended)
	w.redis.Close()
	w.running.Wait()
	synctest.Wait()
	v := w.verdict
	v.hours = time.Since(w.j.began).Hours()
	v.commands = w.redis.Commands()
	v.story = w.j.story()
	<-time.After(time.Minute) // timers of net/http's
	synctest.Wait()
	return v
}

// judge has package judge decide on what the clients were told.
func (w *world) judge() {
	found := judge.Judge(judge.Rules{Kept: w.plan.history, Lossy: w.lossy || w.evicted, Expires: w.plan.ttl < expires || w.evicted, Annotated: w.saidOf}, w.j.events())
	w.verdict.stored, w.verdict.recovered, w.verdict.unrecovered = found.Stored, found.Recovered, found.Unrecovered
	for _, f := range found.Faults {
		if _, text, ok := strings.Cut(f, ": "); ok {
			f = text // lines of the history are not those of the story
		}
		if !strings.Contains(f, ": ") {
			f = "offset: " + f
		}
		w.fault("%s", w.byName(f))
	}
}

// byName puts the members' names for their ids.
func (w *world) byName(text string) string {
	for _, user := range slices.SortedFunc(maps.Keys(w.byUser), func(a, b string) int { return cmp.Compare(w.byUser[a], w.byUser[b]) }) {
		text = strings.ReplaceAll(text, user, w.byUser[user])
	}
	return text
}

func goroutines() int { return runtime.NumGoroutine() }
