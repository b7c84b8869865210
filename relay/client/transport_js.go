//go:build js

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall/js"
)

// Bounds of a browser's WebSocket, which has no backpressure: beyond them it is closed, and the
// rejoin recovers.
const (
	maxQueuedBytes = 16 << 20 // received and not read, and also written and not sent
	frameOverhead  = 64       // bytes counted for a frame besides its data
)

var (
	errReadQueueFull  = errors.New("client: more came than could be read")
	errWriteQueueFull = errors.New("client: the connection does not keep up")
	errSocketClosed   = errors.New("client: closed")
	errPageLeft       = errors.New("client: the page was left")
	errNoWebSocket    = errors.New("client: no WebSocket here")
)

// Native holds the settings of the browser; native builds have others. The zero value works.
type Native struct {
	// Gather hands over together what comes at nearly the same time, since each call from JavaScript costs more
	// than a message does. It is called for each connection, with a function that takes one frame's data, or those
	// of several text frames with U+001E between, which stands in none. It returns an object of the socket's
	// onmessage and of take, which returns what it still holds of texts, or undefined. The zero Value: nothing is
	// gathered.
	Gather js.Value
}

// frameSeparator stands between text frames, as Engine.IO has it between the packets of a request.
const frameSeparator = '\x1e'

// socket is a browser's WebSocket. Its callbacks run on JavaScript's event loop, where blocking
// would stop the program, so they only queue and notify.
type socket struct {
	// immutable after newSocket
	ws      js.Value
	funcs   [4]js.Func
	receive js.Func       // is called with the data of frames that were gathered
	gather  js.Value      // what Native.Gather has returned; undefined: nothing is gathered
	leave   js.Func       // is called when the page is left
	changed chan struct{} // a callback has run; capacity 1
	once    sync.Once

	// guarded by mu
	mu    sync.Mutex
	open  bool
	queue []frame
	size  int   // of queue, in bytes
	err   error // why the socket ended
}

func dial(ctx context.Context, url string, n Native) (transport, error) {
	s, err := newSocket(url, n)
	if err != nil {
		return nil, err
	}
	for {
		s.mu.Lock()
		open, err := s.open, s.err
		s.mu.Unlock()
		switch {
		case err != nil:
			s.Close(false)
			return nil, err
		case open:
			return s, nil
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			s.Close(false)
			return nil, ctx.Err()
		}
	}
}

// newSocket starts to connect. The browser throws if it forbids the address, such as an insecure
// one in a secure page.
func newSocket(url string, n Native) (s *socket, err error) {
	defer recoverJS(&err)
	class := js.Global().Get("WebSocket")
	if class.IsUndefined() {
		return nil, errNoWebSocket
	}
	s = &socket{ws: class.New(url), changed: make(chan struct{}, 1)}
	s.ws.Set("binaryType", "arraybuffer")
	for i, on := range [...]struct {
		name string
		do   func(event js.Value)
	}{
		{"onopen", func(js.Value) { s.update(func() { s.open = true }) }},
		{"onmessage", s.onMessage},
		{"onerror", func(js.Value) { s.fail(errors.New("client: the connection failed")) }},
		{"onclose", s.onClose},
	} {
		s.funcs[i] = js.FuncOf(func(_ js.Value, args []js.Value) any {
			on.do(args[0])
			return nil
		})
		s.ws.Set(on.name, s.funcs[i])
	}
	s.receive = js.FuncOf(func(_ js.Value, args []js.Value) any {
		s.onData(args[0])
		return nil
	})
	if n.Gather.Truthy() {
		s.gather = n.Gather.Invoke(s.receive)
		s.ws.Set("onmessage", s.gather.Get("onmessage"))
	}
	s.leave = js.FuncOf(func(js.Value, []js.Value) any {
		s.ws.Call("close", 1000)
		s.fail(errPageLeft)
		return nil
	})
	listenGlobally("addEventListener", leaving, s.leave)
	return s, nil
}

// leaving is the event of a page that somebody goes away from. A browser may keep it for when they come back,
// with what it has open: its user would be here for as long.
const leaving = "pagehide"

// listenGlobally adds a listener to the page, or removes it. Elsewhere than in a browser there may be none.
func listenGlobally(method, event string, f js.Func) {
	if js.Global().Get(method).Truthy() {
		js.Global().Call(method, event, f)
	}
}

// recoverJS turns an exception of JavaScript into an error. It must be deferred.
func recoverJS(err *error) {
	switch thrown := recover().(type) {
	case nil:
	case js.Error:
		*err = thrown
	default:
		panic(thrown)
	}
}

func (s *socket) update(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *socket) fail(err error) {
	s.update(func() {
		if s.err == nil {
			s.err = err
		}
	})
}

func (s *socket) onClose(event js.Value) {
	if !s.gather.IsUndefined() { // what came before the end
		if held := s.gather.Call("take"); !held.IsUndefined() {
			s.onData(held)
		}
	}
	code, reason := event.Get("code").Int(), event.Get("reason").String()
	s.fail(fmt.Errorf("client: the connection was closed with %d %q", code, reason))
}

func (s *socket) onMessage(event js.Value) { s.onData(event.Get("data")) }

// onData queues the frames that have come.
func (s *socket) onData(data js.Value) {
	var frames []frame
	if data.Type() == js.TypeString {
		for _, text := range bytes.Split([]byte(data.String()), []byte{frameSeparator}) {
			frames = append(frames, frame{data: text})
		}
	} else {
		array := js.Global().Get("Uint8Array").New(data)
		f := frame{data: make([]byte, array.Length()), binary: true}
		js.CopyBytesToGo(f.data, array)
		frames = append(frames, f)
	}
	s.update(func() {
		for _, f := range frames {
			if s.err != nil {
				return
			}
			if s.size += len(f.data) + frameOverhead; s.size > maxQueuedBytes {
				s.err = errReadQueueFull
				return
			}
			s.queue = append(s.queue, f)
		}
	})
}

func (s *socket) pop() (f frame, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.queue = nil
		return frame{}, false, s.err
	}
	f = s.queue[0]
	s.queue[0] = frame{}
	s.queue = s.queue[1:]
	s.size -= len(f.data) + frameOverhead
	return f, true, nil
}

// Read implements transport. It returns the frames that came before the end, then the error.
func (s *socket) Read(ctx context.Context) ([]byte, bool, error) {
	for {
		f, ok, err := s.pop()
		if ok || err != nil {
			return f.data, f.binary, err
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// isOpen is a WebSocket's readyState while it can be written to. Later what is sent goes nowhere, and the console says
// that as an error.
const isOpen = 1

// Write implements transport. It never waits: the browser has its own queue.
func (s *socket) Write(_ context.Context, data []byte, binary bool) (err error) {
	defer recoverJS(&err)
	if s.ws.Get("readyState").Int() != isOpen {
		return nil // Read tells why
	}
	if s.ws.Get("bufferedAmount").Int() > maxQueuedBytes {
		return errWriteQueueFull
	}
	if !binary {
		s.ws.Call("send", string(data))
		return nil
	}
	bytes := js.Global().Get("Uint8Array").New(len(data))
	js.CopyBytesToJS(bytes, data)
	s.ws.Call("send", bytes)
	return nil
}

// Close implements transport. In either case the browser sends what it has queued and does the
// closing handshake by itself.
func (s *socket) Close(bool) {
	s.once.Do(func() {
		for _, name := range [...]string{"onopen", "onmessage", "onerror", "onclose"} {
			s.ws.Set(name, js.Null())
		}
		for _, f := range s.funcs {
			f.Release()
		}
		if !s.gather.IsUndefined() {
			s.gather.Call("take") // nor does it call later
		}
		s.receive.Release()
		listenGlobally("removeEventListener", leaving, s.leave)
		s.leave.Release()
		var err error
		func() { // 1000 is one of the few codes that browsers allow
			defer recoverJS(&err)
			s.ws.Call("close", 1000)
		}()
		s.fail(errSocketClosed)
	})
}
