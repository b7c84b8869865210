//go:build js

package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall/js"
)

// Bounds of a browser's socket, which knows no backpressure: past them it is closed, and the rejoin recovers.
const (
	maxQueue    = 16 << 20 // bytes that came and were not read, or were written and not sent
	frameWeight = 64       // what a frame takes besides its bytes
)

var (
	errBehind   = errors.New("client: more came than could be read")
	errUnsent   = errors.New("client: the connection does not keep up")
	errDropped  = errors.New("client: closed")
	errNoSocket = errors.New("client: no WebSocket here")
)

// Native is what only native builds can be told: here, nothing.
type Native struct{}

// socket is a browser's WebSocket. Its callbacks run on JavaScript's stack, where blocking would stop the program: they
// only queue and ring.
type socket struct {
	ws    js.Value
	funcs [4]js.Func
	bell  chan struct{} // something changed; holds one
	once  sync.Once

	mu    sync.Mutex
	open  bool
	queue []frame
	size  int   // of queue
	err   error // the socket's end
}

func dial(ctx context.Context, url string, _ Native) (transport, error) {
	s, err := newSocket(url)
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
		case <-s.bell:
		case <-ctx.Done():
			s.Close(false)
			return nil, ctx.Err()
		}
	}
}

// newSocket begins to connect. A browser throws where it forbids the address, an insecure one in a secure page say.
func newSocket(url string) (s *socket, err error) {
	defer caught(&err)
	class := js.Global().Get("WebSocket")
	if class.IsUndefined() {
		return nil, errNoSocket
	}
	s = &socket{ws: class.New(url), bell: make(chan struct{}, 1)}
	s.ws.Set("binaryType", "arraybuffer")
	for i, on := range [...]struct {
		name string
		do   func(event js.Value)
	}{
		{"onopen", func(js.Value) { s.change(func() { s.open = true }) }},
		{"onmessage", s.received},
		{"onerror", func(js.Value) { s.end(errors.New("client: the connection failed")) }},
		{"onclose", s.closed},
	} {
		s.funcs[i] = js.FuncOf(func(_ js.Value, args []js.Value) any {
			on.do(args[0])
			return nil
		})
		s.ws.Set(on.name, s.funcs[i])
	}
	return s, nil
}

// caught turns what JavaScript throws into an error.
func caught(err *error) {
	switch thrown := recover().(type) {
	case nil:
	case js.Error:
		*err = thrown
	default:
		panic(thrown)
	}
}

func (s *socket) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

func (s *socket) end(err error) {
	s.change(func() {
		if s.err == nil {
			s.err = err
		}
	})
}

func (s *socket) closed(event js.Value) {
	code, reason := event.Get("code").Int(), event.Get("reason").String()
	s.end(fmt.Errorf("client: the connection was closed with %d %q", code, reason))
}

func (s *socket) received(event js.Value) {
	f := frame{}
	if data := event.Get("data"); data.Type() == js.TypeString {
		f.data = []byte(data.String())
	} else {
		bytes := js.Global().Get("Uint8Array").New(data)
		f.binary, f.data = true, make([]byte, bytes.Length())
		js.CopyBytesToGo(f.data, bytes)
	}
	s.change(func() {
		if s.err != nil {
			return
		}
		if s.size += len(f.data) + frameWeight; s.size > maxQueue {
			s.err = errBehind
			return
		}
		s.queue = append(s.queue, f)
	})
}

func (s *socket) next() (f frame, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.queue = nil
		return frame{}, false, s.err
	}
	f = s.queue[0]
	s.queue[0] = frame{}
	s.queue = s.queue[1:]
	s.size -= len(f.data) + frameWeight
	return f, true, nil
}

// Read implements transport. What came before the end is read before the error.
func (s *socket) Read(ctx context.Context) ([]byte, bool, error) {
	for {
		f, ok, err := s.next()
		if ok || err != nil {
			return f.data, f.binary, err
		}
		select {
		case <-s.bell:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// Write implements transport. It never waits: the browser has a queue of its own.
func (s *socket) Write(_ context.Context, data []byte, binary bool) (err error) {
	defer caught(&err)
	if s.ws.Get("bufferedAmount").Int() > maxQueue {
		return errUnsent
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

// Close implements transport. The browser sends what it still has, and does the closing handshake by itself.
func (s *socket) Close(bool) {
	s.once.Do(func() {
		for _, name := range [...]string{"onopen", "onmessage", "onerror", "onclose"} {
			s.ws.Set(name, js.Null())
		}
		for _, f := range s.funcs {
			f.Release()
		}
		var err error
		func() { // 1000 is one of the few codes that browsers let us say
			defer caught(&err)
			s.ws.Call("close", 1000)
		}()
		s.end(errDropped)
	})
}
