package events

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
)

// Refusals for what one user may do, over all relays.
var (
	refusedUserRates = [...]namespace.Refusal{
		limit.Publish: {Level: slog.LevelInfo, Text: "refused a user: more than USER_PUBLISH_RATE", Limit: metrics.LimitUserRate},
		limit.Signal:  {Level: slog.LevelInfo, Text: "refused a user: more than USER_SIGNAL_RATE", Limit: metrics.LimitUserRate},
		limit.Join:    {Level: slog.LevelInfo, Text: "refused a user: more than USER_JOIN_RATE", Limit: metrics.LimitUserRate},
		limit.History: {Level: slog.LevelInfo, Text: "refused a user: more than USER_HISTORY_RATE", Limit: metrics.LimitUserRate},
	}
	refusedUser = namespace.Refusal{Level: slog.LevelInfo, Text: "refused a user: MAX_USER_CONNECTIONS are connected", Limit: metrics.LimitUserConnections}
)

// userRetry is how long a user is told to wait who has too many connections.
const userRetry = 5 * time.Second

// rateLimited is the fault of what is one too many.
func rateLimited(what string, wait time.Duration) *fault {
	ms := max(1, int64((wait+time.Millisecond-1)/time.Millisecond))
	return &fault{Code: codeRateLimited, Message: "too many " + what + ": wait " + strconv.FormatInt(ms, 10) + " ms", Retry: ms}
}

// spend takes what a request costs of the connection's and the user's allowances. If there is not
// enough it refuses the request, and reports false.
func (c *connection) spend(k limit.Kind, e namespace.Event) bool {
	if e.Overdrawn > 0 {
		c.fail(e, rateLimited(limit.Bytes.String(), e.Overdrawn))
		c.Excess(limit.Bytes)
		return false
	}
	f, ofUser := c.take(k)
	switch {
	case f == nil:
		return true
	case ofUser:
		c.fail(e, f)
		c.ExcessOf(refusedUserRates[k])
	default:
		c.fail(e, f)
		c.Excess(k)
	}
	return false
}

// take takes what something costs, or returns the fault of it, and whether it is more than the user may
// do, and not this connection.
func (c *connection) take(k limit.Kind) (f *fault, ofUser bool) {
	if wait := c.Take(k); wait > 0 {
		return rateLimited(k.String(), wait), false
	}
	if wait := c.limits.Take(k); wait > 0 {
		return rateLimited(k.String()+" of this user", wait), true
	}
	return nil, false
}

// enterUser counts one more connection of the user's.
func (c *connection) enterUser() error {
	id := c.User().ID
	if c.limits = c.root.users.Enter(id, c.id); c.limits != nil {
		return nil
	}
	c.ExcessOf(refusedUser)
	return &namespace.ConnectError{Code: codeRateLimited, Message: "too many connections of this user", Retry: userRetry}
}

// isFinal reports whether a try to resume that ended with err was the last, if the first one was so long
// ago. A refusal stands, unless it is for the connections that other relays have told of: the session's
// last one may be among them, and gone.
func (c *connection) isFinal(err error, since time.Duration) bool {
	if refused := refusal(err); refused != nil && refused.Code == codeRateLimited {
		return since >= c.root.users.Doubt(c.User().ID)
	} else if refused != nil {
		return true
	}
	return err == nil
}

// leaveUser undoes enterUser, if there was one.
func (c *connection) leaveUser() {
	if c.limits != nil {
		c.limits.Leave(c.id)
		c.limits = nil
	}
}

// usageRoom is the room in which relays tell one another what users have used. No client can name it.
const usageRoom = "\x00usage"

// usage tells the other relays what users have used here, and takes what they tell.
type usage struct {
	users *limit.Users
	store broker.Messages
	self  string
	log   *slog.Logger
	end   context.CancelFunc
	done  sync.WaitGroup
}

// tellUsage begins to tell.
func tellUsage(users *limit.Users, store broker.Messages, self string, log *slog.Logger) *usage {
	ctx, cancel := context.WithCancel(context.Background())
	u := &usage{users: users, store: store, self: self, log: log, end: cancel}
	u.done.Go(func() { u.run(ctx) })
	return u
}

func (u *usage) close() {
	u.end()
	u.done.Wait()
}

// run reports once an interval. While the store is away nothing is told: limits hold on each relay.
func (u *usage) run(ctx context.Context) {
	tick := time.NewTicker(limit.ReportInterval)
	defer tick.Stop()
	var stop func()
	for {
		if stop == nil {
			var err error
			if stop, err = u.store.Subscribe(ctx, usageRoom, u, 0); err != nil {
				stop = nil
				u.log.Debug("cannot hear yet what users have used on other relays", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			if stop != nil {
				stop()
			}
			return
		case <-tick.C:
		}
		if body := u.users.Report(); body != nil {
			u.store.Signal(usageRoom, u.self, string(body))
		}
	}
}

// Signal implements broker.Subscriber.
func (u *usage) Signal(s broker.Signal) {
	if s.Sender != u.self {
		u.users.Apply([]byte(s.Body))
	}
}

// Load implements broker.Subscriber. Nobody publishes in the room, and nobody is in it.
func (u *usage) Load(broker.Snapshot, string) {}

// Deliver implements broker.Subscriber.
func (u *usage) Deliver(broker.Message) {}

// Presence implements broker.Subscriber.
func (u *usage) Presence(broker.Change) {}
