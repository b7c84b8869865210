package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"setu/e2e/secrets"
)

// dialTimeout bounds how long a relay may take to let a client in.
const dialTimeout = 10 * time.Second

// conn is one connection: Engine.IO and Socket.IO as protocol.md has them, by
// hand, since the relay's own codecs can't vouch for themselves.
type conn struct {
	carrier      carrier
	welcome      welcome
	opened       opened
	pingDeadline time.Duration // without a ping for so long, the relay is gone
	on           func(event)
	done         chan struct{} // closed when nothing more will come

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]func(json.RawMessage)
	err     error         // why it ended
	deaf    bool          // what comes is lost
	held    chan struct{} // not nil: nothing is read until it is closed
	parked  chan struct{} // closed when the reader waits for that
}

type welcome struct {
	Relay string   `json:"relay"`
	Epoch string   `json:"epoch"`
	User  User     `json:"user"`
	Rooms []string `json:"rooms"` // that a session which goes on is in
}

// opened is how a connection began.
type opened struct {
	id, pid  string
	replayed []event // what came before the CONNECT was answered
	offset   string  // the last one given out
}

// event is one that the relay has sent.
type event struct {
	name   string
	body   json.RawMessage
	offset string // its last argument, where that is a string
}

// errGone: the connection ended before the answer came.
var errGone = errors.New("the connection ended")

// dial connects and waits for the relay's welcome. Nothing more is read until start. on is called with
// each event that follows, in order; it must not block.
func dial(ctx context.Context, over Transport, endpoint string, auth any, on func(event)) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	carrier, err := over.connect(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	c := &conn{carrier: carrier, on: on, done: make(chan struct{}), waiting: map[uint64]func(json.RawMessage){}}
	if err := c.handshake(ctx, auth); err != nil {
		carrier.close()
		return nil, err
	}
	return c, nil
}

// start reads on, until the connection ends.
func (c *conn) start() { go c.read() }

func (c *conn) handshake(ctx context.Context, auth any) error {
	open, err := c.expect(ctx, "0")
	if err != nil {
		return err
	}
	var times struct{ PingInterval, PingTimeout int64 }
	if err := json.Unmarshal(open, &times); err != nil {
		return err
	}
	c.pingDeadline = time.Duration(times.PingInterval+times.PingTimeout) * time.Millisecond
	payload, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	if err := c.carrier.write(ctx, text("40"+string(payload))); err != nil {
		return err
	}
	if err := c.awaitConnect(ctx); err != nil {
		return err
	}
	first, err := c.expectEvent(ctx)
	if err == nil && first.name != "welcome" {
		err = fmt.Errorf("the first event is %s, not welcome", first.name)
	}
	if err != nil {
		return err
	}
	c.opened.offset = first.offset
	return json.Unmarshal(first.body, &c.welcome)
}

// awaitConnect reads up to the answer to the CONNECT: a session that goes on is
// sent what it has missed before.
func (c *conn) awaitConnect(ctx context.Context) error {
	for {
		frame, err := c.readPacket(ctx)
		if err != nil {
			return err
		}
		if rest, is := bytes.CutPrefix(frame, []byte("40")); is {
			var answer struct{ SID, PID string }
			err := json.Unmarshal(rest, &answer)
			c.opened.id, c.opened.pid = answer.SID, answer.PID
			secrets.Plant("a pid", answer.PID)
			return err
		}
		missed, err := parseEvent(frame)
		if err != nil {
			return err
		}
		c.opened.replayed = append(c.opened.replayed, missed)
	}
}

func (c *conn) expectEvent(ctx context.Context) (event, error) {
	frame, err := c.readPacket(ctx)
	if err != nil {
		return event{}, err
	}
	return parseEvent(frame)
}

// expect reads one packet and returns what follows its type.
func (c *conn) expect(ctx context.Context, kind string) ([]byte, error) {
	frame, err := c.readPacket(ctx)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(frame, []byte(kind))
	if !ok {
		return nil, fmt.Errorf("the relay sent %.200q instead of a %s", frame, kind)
	}
	return rest, nil
}

// readPacket reads one packet of Socket.IO, and all that belongs to it.
func (c *conn) readPacket(ctx context.Context) ([]byte, error) {
	p, err := c.carrier.read(ctx)
	switch {
	case err != nil:
		return nil, err
	case p.binary:
		return nil, fmt.Errorf("the relay sent %d bytes that belong to nothing", len(p.data))
	case isBinary(p.data):
		return c.whole(ctx, p.data)
	}
	return p.data, nil
}

// read takes packets until the connection ends.
func (c *conn) read() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	silent := time.AfterFunc(c.pingDeadline, cancel)
	defer silent.Stop()
	var err error
	for err == nil {
		c.awaitRelease()
		var frame []byte
		if frame, err = c.readPacket(ctx); err != nil {
			break
		}
		if c.isDeaf() {
			if bytes.HasPrefix(frame, []byte("43")) {
				err = errors.New("cut when an answer came")
			}
			continue
		}
		if string(frame) == "2" {
			silent.Reset(c.pingDeadline)
		}
		err = c.take(ctx, frame)
	}
	c.carrier.close()
	c.mu.Lock()
	c.err, c.waiting = err, nil
	c.mu.Unlock()
	close(c.done)
}

// take handles one frame.
func (c *conn) take(ctx context.Context, frame []byte) error {
	switch {
	case string(frame) == "2":
		return c.carrier.write(ctx, text("3"))
	case bytes.HasPrefix(frame, []byte("42")):
		heard, err := parseEvent(frame)
		if err == nil {
			c.on(heard)
		}
		return err
	case bytes.HasPrefix(frame, []byte("43")):
		return c.takeAck(frame[2:])
	}
	return fmt.Errorf("the relay sent %.200q", frame)
}

func (c *conn) takeAck(rest []byte) error {
	digits := bytes.IndexByte(rest, '[')
	var args []json.RawMessage
	if digits < 0 || json.Unmarshal(rest[digits:], &args) != nil || len(args) != 1 {
		return fmt.Errorf("not an ack: %.200q", rest)
	}
	id, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
	if err != nil {
		return err
	}
	c.mu.Lock()
	answer := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if answer == nil {
		return fmt.Errorf("an ack that nobody waits for: %d", id)
	}
	answer(args[0])
	return nil
}

func parseEvent(frame []byte) (e event, err error) {
	text, is := bytes.CutPrefix(frame, []byte("42"))
	var args []json.RawMessage
	if err := json.Unmarshal(text, &args); !is || err != nil || len(args) < 2 {
		return e, fmt.Errorf("not an event of ours: %.200q: %w", frame, err)
	}
	e.body = args[1]
	_ = json.Unmarshal(args[len(args)-1], &e.offset) // or it is none
	return e, json.Unmarshal(args[0], &e.name)
}

// encode leaves data as it is, without escapes for HTML.
func encode(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// emit sends an event that asks for no answer.
func (c *conn) emit(ctx context.Context, name string, body any) error {
	frame, err := encode([]any{name, body})
	if err != nil {
		return err
	}
	return c.sendPacket(ctx, "", frame)
}

// call sends an event and waits for its answer. heard is called with it in the
// order of what arrives, between the events before and after it.
func (c *conn) call(ctx context.Context, name string, body any, heard func(json.RawMessage)) error {
	answered, err := c.request(name, body, heard)
	if err != nil {
		return err
	}
	if err := c.await(ctx, answered); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// request sends an event that asks for an answer. answered is closed when it was heard.
func (c *conn) request(name string, body any, heard func(json.RawMessage)) (answered <-chan struct{}, err error) {
	frame, err := encode([]any{name, body})
	if err != nil {
		return nil, err
	}
	came := make(chan struct{})
	c.mu.Lock()
	c.next++
	id := c.next
	if c.waiting == nil {
		c.mu.Unlock()
		return nil, errGone
	}
	c.waiting[id] = func(answer json.RawMessage) {
		heard(answer)
		close(came)
	}
	c.mu.Unlock()
	// Written in the connection's own time: a write that its context cuts short
	// takes the connection along.
	if err := c.sendPacket(context.Background(), strconv.FormatUint(id, 10), frame); err != nil {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	return came, nil
}

// await waits for the answer to a request.
func (c *conn) await(ctx context.Context, answered <-chan struct{}) error {
	select {
	case <-answered:
		return nil
	case <-c.done:
		select {
		case <-answered: // the last thing that came
			return nil
		default:
			return errGone
		}
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
}

// hold stops reading after the next packet, until release. The channel is closed
// when it has.
func (c *conn) hold() (parked <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held, c.parked = make(chan struct{}), make(chan struct{})
	}
	return c.parked
}

func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		close(c.held)
		c.held = nil
	}
}

func (c *conn) awaitRelease() {
	c.mu.Lock()
	held, parked := c.held, c.parked
	c.mu.Unlock()
	if held != nil {
		close(parked)
		<-held
	}
}

// deafen has what comes from now on be lost on the way. The connection ends with the first answer of that.
func (c *conn) deafen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

func (c *conn) isDeaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaf
}

// cut ends the connection without a word of the protocol.
func (c *conn) cut() {
	c.release()
	c.carrier.close()
}

// end waits until nothing more comes, and returns why.
func (c *conn) end() error {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
