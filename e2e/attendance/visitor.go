package attendance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Visitor is a user who comes, stays for a while, goes, and comes back, over whatever relay lets them in.
type Visitor struct {
	// immutable after NewVisitor
	name   string
	room   string
	relays []string // WebSocket endpoints
	chance *rand.Rand
	rules  Rules
	stay   bool // in the end

	mu     sync.Mutex // guards what follows
	id     string     // empty until it was let in once
	visits []Visit
}

// NewVisitor is a visitor whose ways come from a seed.
func NewVisitor(name, room string, relays []string, rules Rules, seed uint64, stay bool) *Visitor {
	return &Visitor{name: name, room: room, relays: relays, rules: rules, stay: stay, chance: rand.New(rand.NewPCG(seed, 3))}
}

// Run has the visitor come and go until moving ends, and then stay, or be away, until ctx does.
func (v *Visitor) Run(ctx, moving context.Context) {
	for moving.Err() == nil {
		lost := v.visit(moving, v.some(10))
		switch {
		case lost && v.chance.IntN(3) > 0: // come back at once
			v.pause(moving, time.Duration(v.chance.IntN(300))*time.Millisecond)
		case v.chance.IntN(2) == 0: // within the grace
			v.pause(moving, time.Duration(v.chance.Int64N(int64(v.rules.Grace)/2)))
		default:
			v.pause(moving, v.rules.Grace+v.rules.Lease+delay+v.some(2))
		}
	}
	for v.stay && ctx.Err() == nil {
		v.visit(ctx, time.Hour)
	}
}

func (v *Visitor) some(most int) time.Duration {
	return time.Second/2 + time.Duration(v.chance.IntN(most*1000))*time.Millisecond
}

func (v *Visitor) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// visit connects and stays for a time. It returns true if the connection was lost.
func (v *Visitor) visit(ctx context.Context, stay time.Duration) (lost bool) {
	dialed := time.Now()
	c, id, err := v.connect(ctx)
	if err != nil {
		return true
	}
	v.begin(Visit{Dialed: dialed, From: time.Now()}, id)
	leave := time.AfterFunc(stay, func() { v.goodbye(c, v.chance.IntN(2) == 0) })
	defer leave.Stop()
	defer context.AfterFunc(ctx, func() { v.goodbye(c, true) })()
	for {
		_, b, err := c.Read(context.Background())
		if err != nil {
			return v.end()
		}
		if string(b) == "2" {
			_ = c.Write(context.Background(), websocket.MessageText, []byte("3"))
		}
	}
}

// goodbye ends the visit: by a word, or without one.
func (v *Visitor) goodbye(c *websocket.Conn, politely bool) {
	v.end()
	if politely {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Write(ctx, websocket.MessageText, []byte("41"))
	}
	_ = c.CloseNow()
}

var errRefused = errors.New("no welcome")

// connect tries the relays, from one by chance on, once each.
func (v *Visitor) connect(ctx context.Context) (c *websocket.Conn, id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	at := v.chance.IntN(len(v.relays))
	for i := range v.relays {
		c, _, err = websocket.Dial(ctx, v.relays[(at+i)%len(v.relays)], nil)
		if err != nil {
			continue
		}
		if id, err = v.greet(ctx, c); err == nil {
			return c, id, nil
		}
		_ = c.CloseNow()
	}
	v.pause(ctx, 50*time.Millisecond)
	return nil, "", err
}

// greet says who the visitor is, and joins the room.
func (v *Visitor) greet(ctx context.Context, c *websocket.Conn) (id string, err error) {
	c.SetReadLimit(1 << 20)
	hello := fmt.Sprintf(`40{"name":%q,"key":"key-of-%s-0123456789"}`, v.name, v.name)
	if err := c.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		return "", err
	}
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			return "", err
		}
		text := string(b)
		welcome, isWelcome := strings.CutPrefix(text, `42["welcome",`)
		switch {
		case strings.HasPrefix(text, "44"):
			return "", errRefused
		case text == "2":
			_ = c.Write(ctx, websocket.MessageText, []byte("3"))
		case isWelcome:
			var w struct {
				User struct {
					ID string `json:"id"`
				} `json:"user"`
			}
			if err := json.NewDecoder(strings.NewReader(welcome)).Decode(&w); err != nil {
				return "", err
			}
			return w.User.ID, c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `420["join",{"room":%q}]`, v.room))
		}
	}
}

func (v *Visitor) begin(is Visit, id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.id, v.visits = id, append(v.visits, is)
}

// end ends the visit, and reports whether nobody had ended it before.
func (v *Visitor) end() (first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := &v.visits[len(v.visits)-1]
	if first = last.To.IsZero(); first {
		last.To = time.Now()
	}
	return first
}

// Room is the room that the visitor joins.
func (v *Visitor) Room() string { return v.room }

// IsHere reports whether the visitor is connected.
func (v *Visitor) IsHere() bool {
	visits := v.Visits()
	return len(visits) > 0 && visits[len(visits)-1].To.IsZero()
}

// Visits returns the visits so far.
func (v *Visitor) Visits() []Visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.visits)
}

// ID is the user's, empty if no relay has let the visitor in.
func (v *Visitor) ID() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.id
}
