package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

const agreed = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"

// What is offered is agreed to if this side can keep it, and else the connection goes on without.
func TestCompressionOffers(t *testing.T) {
	for offer, want := range map[string]string{
		"permessage-deflate":     agreed,
		wiretest.DeflateOffer:    agreed,
		" permessage-deflate ; ": "",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9": agreed,
		"permessage-deflate; server_max_window_bits=15":                                                        agreed,
		"permessage-deflate; server_max_window_bits=10":                                                        "",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":                                    agreed,
		"x-webkit-deflate-frame, permessage-deflate; client_max_window_bits":                                   agreed,
		"permessage-deflate; bogus":                                                                            "",
		"permessage-deflate; server_no_context_takeover=1":                                                     "",
		"permessage-deflate=1":                                                                                 "",
		"permessage-deflate; client_max_window_bits; =;=,,":                                                    "",
		"x-webkit-deflate-frame":                                                                               "",
		";;;,,,;=":                                                                                             "",
		"\"permessage-deflate":                                                                                 "",
		strings.Repeat("permessage-deflate; x, ", 300):                                                         "",
	} {
		for _, compression := range []string{"COMPRESSION=1", "COMPRESSION=0"} {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := wiretest.UpgradeOffering(t, r.Dial(), "", offer)
				if compression == "COMPRESSION=0" {
					want = ""
				}
				if p.Extensions != want {
					t.Errorf("%.80q with %s: agreed to %q, want %q", offer, compression, p.Extensions, want)
				}
				if f := p.NextFrame(); !strings.HasPrefix(string(f.Payload), "0{") || f.Compressed > 0 {
					t.Errorf("the handshake: %q", f.Payload)
				}
				text := "4" + strings.Repeat("hello ", 40)
				p.Text(text)
				if f := p.NextFrame(); string(f.Payload) != text || (f.Compressed > 0) != (want != "") {
					t.Errorf("%.80q: %d bytes came as %d", offer, len(f.Payload), f.Compressed)
				}
			}, compression)
		}
	}
}

// One frame goes to all, compressed once to those who can take that, and what is small, or no smaller when
// compressed, as it is.
func TestCompressedForSome(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p, q := r.offering(), r.greeted()
		noise := make([]byte, 1000)
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		frames := []*engineio.Frame{
			engineio.NewMessage([]byte(strings.Repeat("large ", 100)), false),
			engineio.NewMessage([]byte(strings.Repeat("s", 98)), false),
			engineio.NewMessage(make([]byte, deflateMost+1), true),
			engineio.NewFrame(0, func(dst []byte) []byte { return append(dst, "4small"...) }, bytes.Repeat([]byte("b"), 1000), noise, []byte("c")),
		}
		r.srv.mu.Lock()
		for _, s := range r.srv.sessions {
			for _, f := range frames {
				s.Send(f)
			}
		}
		r.srv.mu.Unlock()
		var compressed []int
		for range 7 {
			f, g := p.NextFrame(), q.NextFrame()
			if f.Op != g.Op || !bytes.Equal(f.Payload, g.Payload) || g.Compressed > 0 {
				t.Errorf("one has %q, the other %q", f.Payload, g.Payload)
			}
			compressed = append(compressed, f.Compressed)
		}
		if c := compressed; c[0] == 0 || c[0] > 50 || c[1] > 0 || c[2] > 0 || c[3] > 0 || c[4] == 0 || c[4] > 50 || c[5] > 0 || c[6] > 0 {
			t.Errorf("compressed to %v", c)
		}
	}, "COMPRESSION=100")
}

// Once a frame is compressed, the next who is sent it costs nothing.
func TestCompressedOnce(t *testing.T) {
	k := &webSocketTransport{srv: &Server{cfg: Config{Compression: 1}}, deflates: true}
	f := engineio.NewMessage([]byte(strings.Repeat("large ", 100)), false)
	frames := make([]*engineio.Frame, 1)
	if n := testing.AllocsPerRun(100, func() {
		frames[0] = f
		k.compress(frames)
	}); n > 0 || frames[0] == f || frames[0].Size() > 50 {
		t.Errorf("%v allocations, %d bytes", n, frames[0].Size())
	}
}

// Messages may come compressed, whole or in pieces, with what else comes between, and plain.
func TestCompressedMessages(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.offering()
		h := r.only().handler.(*tape)
		long := strings.Repeat("long ", 1000)
		small := wiretest.Deflate([]byte("4pieces " + long))
		p.Write(wiretest.DeflatedFrame(wiretest.OpText, []byte("4"+long)))
		p.FrameOf(wiretest.OpText)
		for i, c := range small {
			first := byte(wiretest.OpContinue)
			if i == 0 {
				first = 0x40 | wiretest.OpText
			}
			p.Write(wiretest.ClientFrame(first, []byte{c}))
			p.Write(wiretest.ClientFrame(0x80|wiretest.OpPing, nil))
			p.FrameOf(wiretest.OpPong)
		}
		p.Write(wiretest.ClientFrame(0x80|wiretest.OpContinue, nil))
		p.FrameOf(wiretest.OpText)
		p.Text("4plain")
		p.Expect("4plain")
		p.Write(wiretest.DeflatedFrame(wiretest.OpBinary, []byte(long)))
		if f := p.FrameOf(wiretest.OpBinary); string(f.Payload) != long {
			t.Errorf("%q", f.Payload)
		}
		p.Write(wiretest.DeflatedFrame(wiretest.OpBinary, nil))
		if f := p.FrameOf(wiretest.OpBinary); len(f.Payload) > 0 {
			t.Errorf("%q", f.Payload)
		}
		p.Write(wiretest.DeflatedFrame(wiretest.OpText, []byte("3"))) // a pong
		synctest.Wait()
		if got := fmt.Sprintf("%.20q", h.all()); got != fmt.Sprintf("%.20q", []string{long, "pieces " + long, "plain", long, ""}) {
			t.Errorf("heard %s", got)
		}
	}, "COMPRESSION=100")
}

// What is no compressed message, or may not be one, costs its sender the connection.
func TestCompressedWrongly(t *testing.T) {
	frames := map[string][]byte{
		"garbage":             wiretest.ClientFrame(0xC1, []byte("\xff\xff\xff\xff")),
		"a dangling distance": wiretest.ClientFrame(0xC1, []byte("\x02\x03\x00\x00")),
		"a ping":              wiretest.ClientFrame(0xC9, nil),
		"a later frame":       append(wiretest.ClientFrame(0x01, []byte("4a")), wiretest.ClientFrame(0xC0, []byte("b"))...),
	}
	for name, frame := range frames {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p, q := r.offering(), r.greeted()
			go func() { _, _ = p.Conn.Write(frame) }()
			if code, reason := p.Closed(); code != closeProtocol {
				t.Errorf("%s: closed with %d %s", name, code, reason)
			}
			q.Text("4still here")
			q.Expect("4still here")
		}, "COMPRESSION=100")
	}
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) { // nothing was agreed
		p := r.greeted()
		go func() { _, _ = p.Conn.Write(wiretest.DeflatedFrame(wiretest.OpText, []byte("4a"))) }()
		if code, _ := p.Closed(); code != closeProtocol {
			t.Errorf("closed with %d", code)
		}
	}, "COMPRESSION=100")
}

// An upgrade's WebSocket compresses what comes after it.
func TestCompressedAfterUpgrade(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		long := "4" + strings.Repeat("long ", 1000)
		p.Say(long)
		p.Expect(long)
		k := wiretest.UpgradeOffering(t, r.Dial(), p.SID, wiretest.DeflateOffer)
		k.Write(wiretest.DeflatedFrame(wiretest.OpText, []byte("2probe")))
		k.Expect("3probe")
		k.Text("5")
		k.Text(long)
		if f := k.NextFrame(); string(f.Payload) != long || f.Compressed == 0 {
			t.Errorf("%d bytes came as %d", len(f.Payload), f.Compressed)
		}
	}, "COMPRESSION=100")
}

// Others' implementation agrees, in both of its modes.
func TestCompressionWithLibrary(t *testing.T) {
	r := overTCP(t, tapes(echo), "COMPRESSION=100")
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover, websocket.CompressionDisabled} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		c, res, err := websocket.Dial(ctx, "ws://relay"+bySocket, &websocket.DialOptions{HTTPClient: r.Client(t), CompressionMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Sec-WebSocket-Extensions"); (got == agreed) != (mode != websocket.CompressionDisabled) {
			t.Errorf("agreed to %q", got)
		}
		c.SetReadLimit(1 << 20)
		_, _, _ = c.Read(ctx) // the handshake
		var work sync.WaitGroup
		work.Go(func() {
			for i := range 200 {
				_ = c.Write(ctx, websocket.MessageText, []byte(strings.Repeat(fmt.Sprint("4", i), 1+i*i%3000)))
			}
		})
		for i := range 200 {
			if _, got, err := c.Read(ctx); err != nil || string(got) != strings.Repeat(fmt.Sprint("4", i), 1+i*i%3000) {
				t.Fatalf("message %d: %.60q, %v", i, got, err)
			}
		}
		work.Wait()
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		cancel()
	}
}
