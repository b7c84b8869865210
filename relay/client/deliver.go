package client

// maxBacklog bounds the events that wait for the Handler. At the bound the connection is no longer
// read; the relay then closes it as too slow, and the client reconnects and recovers.
const maxBacklog = 1024

// event is one pending call of the Handler.
type event struct {
	call    func()
	isState bool // a call of Handler.State, which the next one may replace
}

func (c *Client) emit(call func()) {
	c.backlog = append(c.backlog, event{call: call})
}

// updateState changes the state and queues an event for it. That replaces a state event at the end
// of the queue, so that they don't pile up while the client tries to connect for hours and its
// Handler blocks.
func (c *Client) updateState(change func(*State)) {
	c.mu.Lock()
	change(&c.state)
	s := c.state
	c.mu.Unlock()
	if c.options.Handler.State == nil {
		return
	}
	e := event{call: func() { c.options.Handler.State(s) }, isState: true}
	if n := len(c.backlog); n > 0 && c.backlog[n-1].isState {
		c.backlog[n-1] = e
		return
	}
	c.backlog = append(c.backlog, e)
}

// reportError passes an error to the Handler that no call can return.
func (c *Client) reportError(err error) {
	if h := c.options.Handler.Error; h != nil {
		c.emit(func() { h(err) })
	}
}

func (c *Client) nextEvent() func() {
	if len(c.backlog) == 0 {
		return nil
	}
	return c.backlog[0].call
}

// dropEvent takes the first event, which the Handler has been given, out of the queue.
func (c *Client) dropEvent() {
	c.backlog[0] = event{}
	c.backlog = c.backlog[1:]
}

// handlerQueue returns the channel to the Handler's goroutine, or nil if event is nil: a select
// then skips it.
func (c *Client) handlerQueue(event func()) chan<- func() {
	if event == nil {
		return nil
	}
	return c.events
}

// frames returns the channel of received frames, or nil if there is no link or the Handler does not
// keep up.
func (c *Client) frames() <-chan frame {
	if c.link == nil || len(c.backlog) >= maxBacklog {
		return nil
	}
	return c.link.in
}
