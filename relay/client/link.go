package client

import (
	"context"
	"time"
)

// transport is one WebSocket. Read and Write may be called at the same time, each by one goroutine.
type transport interface {
	// Read returns the next frame. The error ends the transport, ctx's end too.
	Read(ctx context.Context) (frame []byte, binary bool, err error)
	// Write sends a frame.
	Write(ctx context.Context, frame []byte, binary bool) error
	// Close ends the transport, and Read with it: politely with a closing handshake that lasts until the other side answers
	// or the ctx of the dial ends, else at once.
	Close(politely bool)
}

type dialFunc func(ctx context.Context, url string) (transport, error)

type frame struct {
	data   []byte
	binary bool
	err    error // the link is no more
}

// outgoing is a text frame and the binary ones that belong to it, with nothing between them.
type outgoing struct {
	text        []byte
	attachments [][]byte
}

// Bounds of a link.
const (
	outbox  = 1024        // packets that wait to be written
	goodbye = time.Second // how long a polite end may take
)

// link is a transport with its two goroutines. They end when ctx does.
type link struct {
	transport transport
	ctx       context.Context // the link's life
	cancel    context.CancelFunc
	in        chan frame    // from the reader; never closed
	out       chan outgoing // to the writer; closed by leave
	leaving   chan struct{} // closed by leave: nobody takes from in any more
}

func (c *Client) newLink(t transport, ctx context.Context, cancel context.CancelFunc) *link {
	l := &link{transport: t, ctx: ctx, cancel: cancel,
		in: make(chan frame), out: make(chan outgoing, outbox), leaving: make(chan struct{})}
	c.wg.Go(l.read)
	c.wg.Go(l.write)
	return l
}

func (l *link) read() {
	for {
		data, binary, err := l.transport.Read(l.ctx)
		select {
		case l.in <- frame{data, binary, err}:
		case <-l.leaving: // goes on reading, for the closing handshake
		case <-l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// write ends the transport when it ends itself; the reader then tells of it.
func (l *link) write() {
	for {
		select {
		case <-l.ctx.Done():
			l.transport.Close(false)
			return
		case p, ok := <-l.out:
			if !ok {
				l.transport.Close(true)
				l.cancel()
				return
			}
			if l.writePacket(p) != nil {
				l.transport.Close(false)
				return
			}
		}
	}
}

func (l *link) writePacket(p outgoing) error {
	err := l.transport.Write(l.ctx, p.text, false)
	for i := 0; i < len(p.attachments) && err == nil; i++ {
		err = l.transport.Write(l.ctx, p.attachments[i], true)
	}
	return err
}

// send queues a packet. It never blocks: false means that the link does not keep up and should be given up.
func (l *link) send(text []byte, attachments ...[]byte) bool {
	select {
	case l.out <- outgoing{text, attachments}:
		return true
	default:
		return false
	}
}

// roomy tells whether there is place for what is not needed: signals.
func (l *link) roomy() bool { return len(l.out) < outbox/2 }

// drop ends the link at once.
func (l *link) drop() { l.cancel() }

// leave has what is queued written, then says goodbye. Nothing may be sent after it.
func (l *link) leave() {
	time.AfterFunc(goodbye, l.cancel)
	close(l.leaving)
	close(l.out)
}
