package client

import (
	"context"
	"sync"

	"github.com/coder/websocket"
)

// socket carries each packet as one frame.
type socket struct {
	ws      *websocket.Conn
	writing sync.Mutex // held over packets that go together
}

func dialWebSocket(ctx context.Context, endpoint string) (*socket, error) {
	ws, _, err := websocket.Dial(ctx, endpoint, &websocket.DialOptions{HTTPClient: requests()})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	return &socket{ws: ws}, nil
}

// The library closes the connection when the context of a read or of a write ends.
func (s *socket) read(ctx context.Context) (packet, error) {
	kind, data, err := s.ws.Read(ctx)
	return packet{kind == websocket.MessageBinary, data}, err
}

func (s *socket) write(ctx context.Context, packets ...packet) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, p := range packets {
		kind := websocket.MessageText
		if p.binary {
			kind = websocket.MessageBinary
		}
		if err := s.ws.Write(ctx, kind, p.data); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) upgraded() bool { return false }

func (s *socket) close() { _ = s.ws.CloseNow() }
