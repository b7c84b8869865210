package namespace

import (
	"context"
	"errors"
	"slices"
)

// maxTasks is how many tasks of one client may wait at a time.
const maxTasks = 64

// Errors of Do.
var (
	ErrGone = errors.New("namespace: the session has ended")
	ErrBusy = errors.New("namespace: too much waits to be done")
)

// task is something that is done in the order of a client's events, though no event asks for it.
type task struct {
	conn *Conn
	do   func(ctx context.Context)
}

// Do has f called once, between two events of the client's, as if the client had asked for it: it may
// do what a Handler may. If the client has left by then, ctx is done already. ErrGone, ErrBusy: it is not
// called.
func (c *Conn) Do(f func(ctx context.Context)) error {
	return c.client.enqueueTask(&task{c, f})
}

func (c *client) enqueueTask(t *task) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
		return ErrGone
	case c.tasks >= maxTasks:
		return ErrBusy
	}
	c.tasks++
	c.queue = append(c.queue, Event{task: t})
	c.startWork()
	return nil
}

// runTask does a task that was enqueued.
func (c *client) runTask(ctx context.Context, t *task) {
	c.mu.Lock()
	c.tasks--
	c.mu.Unlock()
	if !slices.Contains(c.conns, t.conn) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	t.do(ctx)
}
