package client

// maxBacklog bounds the events that wait for the Handler. Past it the connection is not read: the relay then closes a
// client that is too slow, which comes back and recovers.
const maxBacklog = 1024

// event is one call of the Handler.
type event struct {
	call  func()
	state bool // tells a state: the next one may take its place
}

func (c *Client) emit(call func()) {
	c.backlog = append(c.backlog, event{call: call})
}

// changed changes the state and tells of it. A state that nobody was told of yet gives way, so that a client which tries to
// connect for hours while its Handler blocks does not pile them up.
func (c *Client) changed(change func(*State)) {
	c.mu.Lock()
	change(&c.state)
	s := c.state
	c.mu.Unlock()
	if c.options.Handler.State == nil {
		return
	}
	e := event{call: func() { c.options.Handler.State(s) }, state: true}
	if n := len(c.backlog); n > 0 && c.backlog[n-1].state {
		c.backlog[n-1] = e
		return
	}
	c.backlog = append(c.backlog, e)
}

// fault tells of an error that no call can return.
func (c *Client) fault(err error) {
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

// handler is the way to the Handler, where there is something to tell.
func (c *Client) handler(event func()) chan<- func() {
	if event == nil {
		return nil
	}
	return c.events
}

// incoming is where frames come from, as long as the Handler keeps up.
func (c *Client) incoming() <-chan frame {
	if c.link == nil || len(c.backlog) >= maxBacklog {
		return nil
	}
	return c.link.in
}
