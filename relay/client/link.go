package client

import (
	"context"
	"time"
)

// transport is one WebSocket connection. Read and Write may be called concurrently, each by one
// goroutine.
type transport interface {
	// Read returns the next frame. Any error ends the transport, including that of ctx.
	Read(ctx context.Context) (frame []byte, binary bool, err error)
	// Write sends a frame.
	Write(ctx context.Context, frame []byte, binary bool) error
	// Close ends the transport, and Read with it. A graceful close does the closing handshake
	// first, which lasts until the other side answers or the ctx of the dial ends.
	Close(graceful bool)
}

type dialFunc func(ctx context.Context, url string) (transport, error)

type frame struct {
	data   []byte
	binary bool
	err    error // the end of the link; nil: a frame
}

// outgoing is one packet: a text frame and the binary frames that must follow it directly.
type outgoing struct {
	text        []byte
	attachments [][]byte
}

// Bounds of a link.
const (
	maxQueuedPackets = 1024        // packets waiting to be written
	closeTimeout     = time.Second // for a graceful close
)

// link is a transport with a goroutine that reads and one that writes. They end when ctx does.
type link struct {
	transport transport
	ctx       context.Context // the link's lifetime
	cancel    context.CancelFunc
	in        chan frame    // from the reader; never closed
	out       chan outgoing // to the writer; closed by closeGracefully
	closing   chan struct{} // closed by closeGracefully: frames are discarded from then on
}

func (c *Client) newLink(t transport, ctx context.Context, cancel context.CancelFunc) *link {
	l := &link{transport: t, ctx: ctx, cancel: cancel,
		in: make(chan frame), out: make(chan outgoing, maxQueuedPackets), closing: make(chan struct{})}
	c.wg.Go(l.readLoop)
	c.wg.Go(l.writeLoop)
	return l
}

func (l *link) readLoop() {
	for {
		data, binary, err := l.transport.Read(l.ctx)
		select {
		case l.in <- frame{data, binary, err}:
		case <-l.closing: // read on: the closing handshake needs it
		case <-l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// writeLoop closes the transport when it returns; the reader then reports the end.
func (l *link) writeLoop() {
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

// send queues a packet and never blocks. It reports false if the queue is full: the link is too
// slow and should be given up.
func (l *link) send(text []byte, attachments ...[]byte) bool {
	select {
	case l.out <- outgoing{text, attachments}:
		return true
	default:
		return false
	}
}

// acceptsVolatile reports whether the queue has space to spare for packets that may be dropped:
// signals.
func (l *link) acceptsVolatile() bool { return len(l.out) < maxQueuedPackets/2 }

// abort ends the link at once.
func (l *link) abort() { l.cancel() }

// closeGracefully has the queued packets written, then closes the transport gracefully, all within
// closeTimeout. Nothing may be sent after it.
func (l *link) closeGracefully() {
	time.AfterFunc(closeTimeout, l.cancel)
	close(l.closing)
	close(l.out)
}
