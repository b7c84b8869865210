package client

import (
	"encoding/json"
	"errors"
	"fmt"

	"setu/relay/engineio"
	"setu/relay/socketio"
)

// maxDepth is the deepest nesting of JSON that is accepted: what a relay accepts, and what it wraps
// around that.
const maxDepth = socketio.MaxDepth + 16

// receive handles one frame, or the end of the link.
func (c *Client) receive(f frame) {
	if f.err != nil {
		c.onDisconnect(c.withFault(f.err))
		return
	}
	c.framesReceived++
	p, err := engineio.Parse(f.data, f.binary)
	if err != nil {
		c.onProtocolError(err)
		return
	}
	switch p.Type {
	case engineio.Open:
		if c.phase == phaseHandshake {
			c.onOpen(p.Data)
		}
	case engineio.Ping:
		c.resetPingDeadline()
		if !c.send(engineio.Packet{Type: engineio.Pong, Data: p.Data}) {
			c.onDisconnect(errSlowLink)
		}
	case engineio.Close:
		c.onDisconnect(c.withFault(errRelayClosed))
	case engineio.Message:
		if p.Binary {
			c.receiveAttachment(p.Data)
		} else {
			c.receivePacket(p.Data)
		}
	}
}

func (c *Client) receivePacket(data []byte) {
	if c.incomplete != nil {
		c.onProtocolError(errMissingAttachments)
		return
	}
	if m, offset, ok := scanMessage(data); ok {
		m.expand(nil, c.state.User.Region)
		m.Offset = offset
		c.receiveMessage(m)
		return
	}
	p, err := socketio.ParseDepth(data, maxDepth)
	if err != nil {
		c.onProtocolError(err)
		return
	}
	if p.Attachments > 0 {
		c.incomplete = &incompletePacket{packet: p}
		return
	}
	c.dispatch(p, nil)
}

// dispatch handles a complete packet.
func (c *Client) dispatch(p socketio.Packet, attachments [][]byte) {
	if p.Namespace != "/" {
		return // we are connected to no other
	}
	switch p.Type {
	case socketio.Connect:
		if c.phase == phaseConnect {
			c.onConnect()
		}
	case socketio.ConnectError:
		c.onRefused(connectError(p.Data))
	case socketio.Disconnect:
		c.closeWith(c.withFault(ErrEnded))
	case socketio.Ack, socketio.BinaryAck:
		if answered := c.acks[p.ID]; answered != nil {
			delete(c.acks, p.ID)
			answered(payload{p.Data, attachments})
		}
	case socketio.Event, socketio.BinaryEvent:
		if err := c.receiveEvent(payload{p.Data, attachments}, ackOf(p)); err != nil {
			c.onProtocolError(err)
		}
	}
}

// ackOf returns the id of the ack that an event wants; nil if it wants none.
func ackOf(p socketio.Packet) *uint64 {
	if !p.HasID {
		return nil
	}
	return &p.ID
}

// withFault adds the reason that the relay has given to the error of a connection that it ends.
func (c *Client) withFault(err error) error {
	if c.fault == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, c.fault)
}

func connectError(data []byte) *ConnectError {
	var body struct {
		Message string
		Data    struct{ Code string }
	}
	if json.Unmarshal(data, &body) != nil {
		_ = json.Unmarshal(data, &body.Message) // a string, from old servers
	}
	return &ConnectError{Message: body.Message, Code: body.Data.Code}
}

// answer decodes an ack's object into into, unless that is nil. It returns an *Error if the ack
// says that the request failed.
func answer(p payload, into any) error {
	items, err := socketio.Items(p.data)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return errors.New("client: an ack without an answer")
	}
	var head struct {
		OK    bool
		Error *Error
	}
	if err := json.Unmarshal(items[0], &head); err != nil {
		return err
	}
	if !head.OK {
		if head.Error == nil {
			head.Error = &Error{}
		}
		return head.Error
	}
	if into == nil {
		return nil
	}
	return p.read(items[0], into)
}

// receiveEvent passes an event to the Handler. Unknown events come from a newer relay and are
// ignored.
func (c *Client) receiveEvent(p payload, ack *uint64) error {
	name, args, err := socketio.Arguments(p.data)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return nil
	}
	switch name {
	case "message":
		m := Message{From: User{Region: unsaid}}
		if err = p.read(args[0], &m); err == nil {
			m.expand(args[1:], c.state.User.Region)
			c.receiveMessage(m)
		}
	case "annotation":
		err = decode(p, args[0], func(a Annotation) {
			var offset string
			_ = json.Unmarshal(args[len(args)-1], &offset) // without one a rejoin brings it again
			c.receiveAnnotation(a, offset)
		})
	case "signal":
		err = decode(p, args[0], c.receiveSignal)
	case "presence":
		err = decode(p, args[0], c.receivePresence)
	case "reset":
		err = decode(p, args[0], c.receiveReset)
	case "welcome":
		err = decode(p, args[0], func(w welcome) { c.receiveWelcome(w, args[0], p.attachments) })
	case "token_expires":
		c.onTokenExpires(ack)
	case "error_event":
		err = decode(p, args[0], c.receiveError)
	}
	if err != nil {
		return fmt.Errorf("client: event %s: %w", name, err)
	}
	return nil
}

func decode[T any](p payload, arg json.RawMessage, take func(T)) error {
	var v T
	if err := p.read(arg, &v); err != nil {
		return err
	}
	take(v)
	return nil
}

func (c *Client) receiveError(e struct{ Error *Error }) {
	if e.Error == nil {
		return
	}
	if e.Error.Code == codeUnauthorized || e.Error.Code == codeRevoked {
		c.fault = e.Error
	}
	c.reportError(e.Error)
}

// welcome is a Welcome with what is not for the Handler.
type welcome struct {
	Welcome
	Joined []json.RawMessage `json:"joined"` // the answers to the joins of our CONNECT
}

func (c *Client) receiveWelcome(received welcome, raw json.RawMessage, attachments [][]byte) {
	w := received.Welcome
	w.Raw = append(w.Raw, raw...)
	c.updateState(func(s *State) { s.Relay, s.Region, s.User = w.Relay, w.Region, w.User })
	c.dropRooms(w.Left)
	if h := c.options.Handler.Welcome; h != nil {
		c.emit(func() { h(w) })
	}
	c.welcomed = true
	c.receiveJoined(received.Joined, attachments)
	c.sendReady()
}

func (c *Client) receiveSignal(s Signal) {
	if h := c.options.Handler.Signal; h != nil && c.rooms[s.Room] != nil {
		c.emit(func() { h(s) })
	}
}

func (c *Client) receivePresence(p Presence) {
	for _, u := range p.Renamed {
		if u.ID == c.state.User.ID {
			c.onRenamed(u)
		}
	}
	if h := c.options.Handler.Presence; h != nil && c.rooms[p.Room] != nil {
		c.emit(func() { h(p) })
	}
}

// onRenamed adopts the name that another connection of our user has given. It is sent with our next
// CONNECT, too: the newest CONNECT decides a user's name, so ours would bring the old one back.
func (c *Client) onRenamed(u User) {
	if u.Name != c.state.User.Name { // else the user is at other places than before
		c.options.Name = u.Name
		c.updateState(func(s *State) { s.User.Name = u.Name })
	}
}
