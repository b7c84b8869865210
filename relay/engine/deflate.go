package engine

import (
	"bytes"
	"runtime"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/flate" // a third of the time of the standard library's

	"setu/relay/engineio"
)

// Messages may be compressed (permessage-deflate, RFC 7692), each by itself: without context takeover in
// either direction, no connection has a window of its own, and what goes to a room is compressed once for
// all who may be sent it. The library inflates what comes; what goes out is made here.

// deflateLevel is the highest whose tables are small: of those, the next one's cost a message that comes alone,
// and finds them in no cache, up to a third more, for 1 % of its bytes.
const deflateLevel = 4

// deflateMost is the largest message that is compressed, in bytes: the writer that does it, in a
// millisecond or two, writes for others, too.
const deflateMost = 256 << 10

// deflater compresses one message at a time.
type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

func newDeflater() *deflater {
	d := &deflater{}
	d.w, _ = flate.NewWriter(&d.out, deflateLevel) // it refuses other levels
	return d
}

// deflaters are those that nobody uses: as many as may work at a time. The collector does not take them, as
// it would take those of a sync.Pool, since one is dearer to make than to use.
type deflaters chan *deflater

func newDeflaters() deflaters { return make(deflaters, runtime.GOMAXPROCS(0)) }

func (all deflaters) get() *deflater {
	select {
	case d := <-all:
		return d
	default:
		return newDeflater()
	}
}

func (all deflaters) put(d *deflater) {
	select {
	case all <- d:
	default:
	}
}

// syncTail ends what a flush has written, and is left out of a message (RFC 7692, section 7.2.1).
const syncTail = "\x00\x00\xff\xff"

// deflate compresses a message's payload. It returns nil if that is smaller than COMPRESSION, too large, or
// gets no smaller.
func (srv *Server) deflate(payload []byte) []byte {
	if len(payload) < srv.cfg.Compression || len(payload) > deflateMost {
		return nil
	}
	d := srv.deflaters.get()
	defer srv.deflaters.put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	_, _ = d.w.Write(payload) // a buffer takes all
	_ = d.w.Flush()
	small := bytes.TrimSuffix(d.out.Bytes(), []byte(syncTail))
	if len(small) >= len(payload) {
		return nil
	}
	return bytes.Clone(small)
}

// compressionMode is what is offered to the library: by its own writes go control frames alone.
func (srv *Server) compressionMode() websocket.CompressionMode {
	if srv.cfg.Compression == 0 {
		return websocket.CompressionDisabled
	}
	return websocket.CompressionNoContextTakeover
}

// compress puts what this client is sent in the place of frames.
func (t *webSocketTransport) compress(frames []*engineio.Frame) {
	if !t.deflates {
		return
	}
	for i, f := range frames {
		frames[i] = f.Deflated(t.srv.deflate)
	}
}
