package events

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"setu/relay/broker"
	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// What one relay has all relays do about connections, of which it does not know where they are. Orders
// are broker.Commands; what they say is JSON, of which relays of other versions pass over what they
// don't know.

// Bounds of orders.
const (
	orderPatience = 1500 * time.Millisecond // for the clients' workers: less than broker.CommandTimeout
	maxListed     = 1000                    // sessions that one relay lists
)

// Words of orders.
const (
	orderEmit       = "emit"
	orderJoin       = "join"
	orderLeave      = "leave"
	orderDisconnect = "disconnect"
	orderSessions   = "sessions"
)

type order struct {
	Do string `json:"do"`
	Target
	Room string `json:"room,omitempty"`
	*Emission
}

// Outcome is what came of an order.
type Outcome struct {
	Sessions  int // that were meant, on the relays that have answered
	Done      int // of them, with which it was done
	Answered  int // relays
	Unreached int // live relays that have not answered, or did not get to a session in time

	Refused string // why it was not done with some of the others: a code that clients know, or empty
}

// answer is what one relay says to an order.
type answer struct {
	Known    bool          `json:"known"` // the order
	Sessions int           `json:"sessions,omitempty"`
	Done     int           `json:"done,omitempty"`
	Late     bool          `json:"late,omitempty"`
	Refused  string        `json:"refused,omitempty"`
	List     []SessionInfo `json:"list,omitempty"`
}

// Emit sends an event to connections, wherever they are. It may be lost, and is not known to have
// arrived. ErrUnavailable: nobody gets it. Another error: e can't be sent.
func (root *Root) Emit(to Target, e Emission) error {
	if err := e.check(); err != nil {
		return err
	}
	text, err := json.Marshal(order{Do: orderEmit, Target: to, Emission: &e})
	if err != nil {
		return badRequest("args must be JSON")
	}
	return root.store.Tell(string(text))
}

// Join puts connections into a room, and Leave takes them out, whatever their users may do. Clients are
// told so (joined, left), and recover it. Who is not connected at the time is not meant.
//
// ErrUnavailable: it is not known to have been done everywhere; it may be tried again.
func (root *Root) Join(ctx context.Context, to Target, name string) (Outcome, error) {
	return root.orderRoom(ctx, order{Do: orderJoin, Target: to, Room: name})
}

// Leave is the opposite of Join.
func (root *Root) Leave(ctx context.Context, to Target, name string) (Outcome, error) {
	return root.orderRoom(ctx, order{Do: orderLeave, Target: to, Room: name})
}

func (root *Root) orderRoom(ctx context.Context, o order) (Outcome, error) {
	if err := checkRoom(o.Room); err != nil {
		return Outcome{}, err
	}
	out, _, err := root.command(ctx, o)
	return out, err
}

// Disconnect closes connections, and ends their sessions. Stock clients do not come back by themselves;
// nothing keeps anybody else from connecting again. Errors are as with Join.
func (root *Root) Disconnect(ctx context.Context, to Target) (Outcome, error) {
	out, _, err := root.command(ctx, order{Do: orderDisconnect, Target: to})
	return out, err
}

// Sessions lists the sessions that are connected, at most 1,000 of each relay. With ErrUnavailable the
// list lacks those of relays that have not answered.
func (root *Root) Sessions(ctx context.Context, to Target) ([]SessionInfo, Outcome, error) {
	out, list, err := root.command(ctx, order{Do: orderSessions, Target: to})
	return list, out, err
}

// command gives an order and adds up what the relays answer.
func (root *Root) command(ctx context.Context, o order) (out Outcome, list []SessionInfo, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return out, nil, err
	}
	answers, err := root.store.Command(ctx, string(text))
	out.Unreached = answers.Unreached
	for _, said := range answers.Texts {
		var a answer
		if json.Unmarshal([]byte(said), &a) != nil || !a.Known || a.Late {
			out.Unreached++
		} else {
			out.Answered++
		}
		out.Sessions += a.Sessions
		out.Done += a.Done
		if a.Refused != "" {
			out.Refused = a.Refused
		}
		list = append(list, a.List...)
	}
	if err == nil && out.Unreached > 0 {
		err = broker.ErrUnavailable
	}
	return out, list, err
}

// obey does what some relay has all relays do. An emit must not block, and nothing else is told.
func (root *Root) obey(ctx context.Context, text string) string {
	var o order
	var a answer
	if json.Unmarshal([]byte(text), &o) == nil {
		a = root.do(ctx, o)
	}
	out, _ := json.Marshal(a) // strings, numbers and bools
	return string(out)
}

func (root *Root) do(ctx context.Context, o order) (a answer) {
	all := root.meant(o.Target)
	a.Known, a.Sessions, a.Done = true, len(all), len(all)
	switch o.Do {
	case orderEmit:
		if o.Emission == nil || o.check() != nil {
			return answer{}
		}
		payload := o.payload()
		for _, c := range all {
			c.emit(payload, o.Attachments)
		}
	case orderDisconnect:
		for _, c := range all {
			c.expel()
		}
	case orderSessions:
		for _, c := range all[:min(len(all), maxListed)] {
			a.List = append(a.List, c.info())
		}
	case orderJoin:
		root.onWorkers(ctx, all, &a, func(ctx context.Context, c *connection) error { return c.give(ctx, o.Room) })
	case orderLeave:
		root.onWorkers(ctx, all, &a, func(ctx context.Context, c *connection) error { c.takeOut(ctx, o.Room); return nil })
	default:
		return answer{}
	}
	return a
}

// onWorkers does something on the workers of connections, and waits for it for a while.
func (root *Root) onWorkers(ctx context.Context, all []*connection, a *answer, do func(context.Context, *connection) error) {
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	results := make(chan error, len(all))
	for _, c := range all {
		err := c.Do(func(ctx context.Context) {
			err := ctx.Err()
			if err == nil {
				err = cmp.Or(do(ctx, c), ctx.Err())
			}
			results <- err
		})
		if err != nil {
			results <- err
		}
	}
	a.Done = 0
	for range all {
		select {
		case err := <-results:
			a.add(err)
		case <-ctx.Done():
			a.Late = true
			return
		}
	}
}

// add counts what came of one connection.
func (a *answer) add(err error) {
	if err == nil {
		a.Done++
		return
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, namespace.ErrGone) {
		a.Sessions-- // the client is gone
		return
	}
	if code := faultOf(err).Code; code != codeUnavailable {
		a.Refused = code
		return
	}
	a.Late = true
}

// check returns an error if clients can't be sent an event.
func (e Emission) check() error {
	if err := room.CheckEvent(e.Event); err != nil {
		return badRequest(err.Error())
	}
	if len(e.Args) > room.MaxEventArgs {
		return badRequest("an event has at most " + strconv.Itoa(room.MaxEventArgs) + " arguments")
	}
	if len(e.Attachments) > socketio.MaxAttachments {
		return badRequest("an event has at most " + strconv.Itoa(socketio.MaxAttachments) + " attachments")
	}
	for i, a := range e.Args {
		if len(a) == 0 || !json.Valid(a) {
			return badRequest("args must be JSON")
		}
		data, err := canonical(a, e.Attachments)
		if err != nil {
			return badRequest("args: " + err.Error())
		}
		e.Args[i] = data
	}
	return nil
}
