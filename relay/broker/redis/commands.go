package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// Bounds of commands.
const (
	commandQueue    = 1024     // heard, that wait; more are dropped
	commandBytes    = 16 << 20 // of those
	commandsAtOnce  = 64       // that want an answer; others are dropped, and asked again
	commandsKnown   = 4096     // that were heard lately: one that is asked again is not carried out again
	minCommandPause = 250 * time.Millisecond
	maxCommandPause = time.Second
)

// commands carries out what a relay, this one or another, has all relays do.
//
// A command is pushed on a channel that every relay hears: "<reply channel> <number> <text>", or
// "- 0 <text>", which wants no answer. An answer comes over the channel that its asker alone hears:
// "<number> <life> <text>". If one is missing, by the leases that hold, all are asked again: who has
// answered says the same.
type commands struct {
	// immutable
	b     *Broker
	queue chan heardCommand
	slots chan struct{} // commandsAtOnce

	bytes atomic.Int64 // that wait in queue

	mu      sync.Mutex // guards what follows
	do      func(ctx context.Context, text string) (answer string)
	number  uint64 // of the last that was asked here
	awaited map[uint64]*awaited

	// owned by run, but for the answers
	known map[string]*heard // by reply channel and number
	order []*heard          // of known, the oldest first
}

// heard is a command that came lately and wants an answer.
type heard struct {
	key string
	at  time.Time

	mu     sync.Mutex // guards what follows
	answer *string    // nil: it is under way
}

// heardCommand is a command that came; without a channel to reply on it wants no answer.
type heardCommand struct{ reply, number, text string }

// awaited is a command of which answers are awaited here.
type awaited struct {
	number  uint64
	changed chan struct{} // nudged by each answer

	mu      sync.Mutex        // guards what follows
	answers map[string]string // by life
	unnamed []string          // of relays that have no life at the moment
}

func newCommands(b *Broker) *commands {
	return &commands{b: b, queue: make(chan heardCommand, commandQueue), slots: make(chan struct{}, commandsAtOnce),
		awaited: map[uint64]*awaited{}, known: map[string]*heard{}}
}

// OnCommand implements broker.Broker.
func (b *Broker) OnCommand(f func(ctx context.Context, text string) (answer string)) {
	b.commands.mu.Lock()
	defer b.commands.mu.Unlock()
	b.commands.do = f
}

// Tell implements broker.Broker.
func (b *Broker) Tell(text string) error {
	switch _, err := b.use(); {
	case err != nil:
		return err
	case !b.feed.isConnected():
		return fmt.Errorf("%w: not connected", broker.ErrUnavailable)
	case !b.signals.send(b.keys.commands, "- 0 "+text):
		return fmt.Errorf("%w: too much waits to be told", broker.ErrUnavailable)
	}
	return nil
}

// Command implements broker.Broker.
func (b *Broker) Command(ctx context.Context, text string) (broker.Answers, error) {
	c, err := b.use()
	if err != nil {
		return broker.Answers{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, broker.CommandTimeout)
	defer cancel()
	a := b.commands.await()
	defer b.commands.forget(a)
	for pause := minCommandPause; ; pause = min(2*pause, maxCommandPause) {
		lives, err := b.commands.ask(ctx, c, a, text)
		if err == nil && a.waitAll(ctx, lives, pause) {
			return a.all(nil), nil
		}
		if err != nil {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
		if b.ctx.Err() != nil {
			return broker.Answers{}, broker.ErrClosed
		}
		if ctx.Err() != nil {
			out := a.all(lives)
			return out, errors.Join(fmt.Errorf("%w: %d relays have answered, %d have not", broker.ErrUnavailable, len(out.Texts), out.Unreached), err)
		}
	}
}

// ask has all do something that have not answered, and returns whose leases hold.
func (cs *commands) ask(ctx context.Context, c rueidis.Client, a *awaited, text string) (lives []string, err error) {
	say := strings.Join([]string{cs.b.keys.relay(cs.b.feed.channel), strconv.FormatUint(a.number, 10), text}, " ")
	return commandScript.run(ctx, c, call{keys: []string{cs.b.keys.lives}, args: []string{cs.b.keys.commands, say}})[0].AsStrSlice()
}

// await numbers a command.
func (cs *commands) await() *awaited {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.number++
	a := &awaited{number: cs.number, changed: make(chan struct{}, 1), answers: map[string]string{}}
	cs.awaited[a.number] = a
	return a
}

func (cs *commands) forget(a *awaited) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.awaited, a.number)
}

// answered takes what another relay, or this one, says: "<number> <life> <text>".
func (cs *commands) answered(text string) {
	part := strings.SplitN(text, " ", 3)
	number, err := strconv.ParseUint(part[0], 10, 64)
	if len(part) < 3 || err != nil {
		return // no relay writes this
	}
	cs.mu.Lock()
	a := cs.awaited[number]
	cs.mu.Unlock()
	if a != nil {
		a.add(part[1], part[2])
	}
}

const (
	noLife  = "-" // stands for the life of a relay that has none
	noReply = "-" // for the channel of who wants no answer
)

func (a *awaited) add(life, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if life == noLife {
		a.unnamed = append(a.unnamed, text)
	} else {
		a.answers[life] = text
	}
	nudge(a.changed)
}

// waitAll waits for so long until all these lives have answered, and somebody at all. It reports whether
// they have.
func (a *awaited) waitAll(ctx context.Context, lives []string, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		if out := a.all(lives); out.Unreached == 0 && len(out.Texts) > 0 {
			return true
		}
		select {
		case <-a.changed:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// all returns what has come, and how many of these lives are missing.
func (a *awaited) all(lives []string) (out broker.Answers) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out.Texts = slices.Clone(a.unnamed)
	for _, text := range a.answers {
		out.Texts = append(out.Texts, text)
	}
	for _, life := range lives {
		if _, ok := a.answers[life]; !ok {
			out.Unreached++
		}
	}
	return out
}

// receive takes a command that was pushed, on the connection's reader: it must not wait for anything.
func (cs *commands) receive(text string) {
	part := strings.SplitN(text, " ", 3)
	if len(part) < 3 {
		return // no relay writes this
	}
	next := heardCommand{part[0], part[1], part[2]}
	if next.reply == noReply {
		next.reply = ""
	}
	if cs.bytes.Add(int64(len(next.text))) <= commandBytes {
		select {
		case cs.queue <- next:
			return
		default:
		}
	}
	cs.bytes.Add(-int64(len(next.text))) // it is asked again, or may be dropped
}

// run carries out what was heard.
func (cs *commands) run() {
	for {
		select {
		case <-cs.b.ctx.Done():
			return
		case next := <-cs.queue:
			cs.begin(next)
		}
	}
}

// begin carries out a command: one that wants no answer at once.
func (cs *commands) begin(next heardCommand) {
	cs.mu.Lock()
	do := cs.do
	cs.mu.Unlock()
	done := func() { cs.bytes.Add(-int64(len(next.text))) }
	if do == nil {
		done()
		return
	}
	if next.reply == "" {
		do(cs.b.ctx, next.text)
		done()
		return
	}
	select {
	case cs.slots <- struct{}{}:
	default:
		done()
		return
	}
	h, again := cs.know(next)
	cs.b.wg.Go(func() {
		defer func() { <-cs.slots }()
		defer done()
		cs.answer(next, h, again, do)
	})
}

// know notes that a command was heard, and reports whether it was before.
func (cs *commands) know(next heardCommand) (h *heard, again bool) {
	now, key := time.Now(), next.reply+" "+next.number
	for len(cs.order) > 0 && (len(cs.order) > commandsKnown || now.Sub(cs.order[0].at) > 2*broker.CommandTimeout) {
		delete(cs.known, pop(&cs.order).key)
	}
	if h = cs.known[key]; h != nil {
		return h, true
	}
	h = &heard{key: key, at: now}
	cs.known[key], cs.order = h, append(cs.order, h)
	return h, false
}

// answer carries out a command, unless it has been, or is being, and says what came of it.
func (cs *commands) answer(next heardCommand, h *heard, again bool, do func(context.Context, string) string) {
	ctx, cancel := context.WithTimeout(cs.b.ctx, broker.CommandTimeout)
	defer cancel()
	if !again {
		h.set(do(ctx, next.text))
	}
	text, ok := h.get()
	c, err := cs.b.use()
	if !ok || err != nil {
		return // it is asked again
	}
	life := cmp.Or(cs.b.presence.ownLife(), noLife)
	c.Do(ctx, c.B().Publish().Channel(cs.b.keys.private+next.reply).Message("a"+next.number+" "+life+" "+text).Build())
}

func (h *heard) set(answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = &answer
}

func (h *heard) get() (answer string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answer == nil {
		return "", false
	}
	return *h.answer, true
}
