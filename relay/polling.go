package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"setu/relay/engineio"
)

const (
	// lateGet is how long a session that was closed between two GETs waits for the second, to tell it so.
	lateGet = time.Second
	// probePause is how long a GET that comes in the middle of an upgrade waits for the upgrade.
	probePause = 50 * time.Millisecond
)

// poller is the door of HTTP long-polling: the client always has a GET waiting, which brings what the outbox holds, and sends
// by POST.
type poller struct {
	s    *Session
	news chan struct{} // holds one: a GET that waits looks again

	mu        sync.Mutex
	getting   bool
	gets      int       // let in so far
	answering bool      // that GET has what it was waiting for
	through   sync.Cond // on mu: answering ended
	posting   bool
	letGo     bool               // the GET that waits is to go, for an upgrade
	probe     context.CancelFunc // ends the upgrade under way; nil: there is none
	moved     bool               // the session has gone on over WebSocket
	stamps    stamps
	written   int // bytes of the last answer: the next GET shows that they have arrived
	ended     bool
	last      *engineio.Frame // what a GET is still to be told of the end; nil: nothing
	told      chan struct{}   // closed once it is
}

// stamps are what the stock clients write into their requests' t, a new one each time. Where one comes again it is the browser
// that has sent the request again, by itself and without a word to the client, since a connection that it had kept was dead.
type stamps struct {
	get, post string // the last of each
	vary      bool   // the client does write new ones
}

// again tells whether a request with this stamp has come before.
func (s *stamps) again(last *string, stamp string) bool {
	again := s.vary && stamp != "" && stamp == *last
	for _, other := range []string{s.get, s.post} {
		s.vary = s.vary || other != "" && stamp != "" && other != stamp
	}
	*last = stamp
	return again
}

var (
	noopFrame  = control(engineio.Noop)
	closeFrame = control(engineio.Close)
)

// control makes a frame of a packet without data.
func control(t engineio.Type) *engineio.Frame {
	return engineio.NewFrame(1, func(dst []byte) []byte { return append(dst, byte(t)) })
}

// openPolling opens a session by its first GET.
func (e *Engine) openPolling(w http.ResponseWriter) {
	s, err := e.admit()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	p := &poller{s: s, news: make(chan struct{}, 1)}
	p.through.L = &p.mu
	s.out.wake = p.wake // nobody else knows of s yet
	s.begin(p)
	if err := answer(w, s.hello("websocket").AppendPayload(nil), e.cfg.PingTimeout); err != nil {
		s.close(closeGone, "the handshake was let go of", true)
	}
}

// wake has a GET that waits look again.
func (p *poller) wake() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// servePoll takes a GET or a POST of a session.
func (e *Engine) servePoll(w http.ResponseWriter, r *http.Request, s *Session) {
	s.heart.look()
	s.mu.Lock()
	p, polls := s.door.(*poller)
	s.mu.Unlock()
	switch {
	case polls && r.Method == http.MethodGet:
		p.get(w, r)
	case polls && r.Method == http.MethodPost:
		p.post(w, r)
	default: // it goes by WebSocket, or this is no method of ours
		refuse(w, http.StatusBadRequest, engineio.ErrBadRequest)
	}
}

// Why a GET brings nothing.
var (
	errMoved   = errors.New("the session goes on over WebSocket")
	errOver    = errors.New("the session is over")
	errOverlap = errors.New("two requests at a time")
	errLetGo   = errors.New("a request was let go of")
	errAgain   = errors.New("a request came again: the answer to the first is lost")
)

func (p *poller) get(w http.ResponseWriter, r *http.Request) {
	if err := p.beginGet(r.URL.Query().Get("t")); err != nil {
		p.refuse(w, err)
		return
	}
	body, err := p.await(r.Context())
	if err == nil {
		err = answer(w, body, p.s.eng.cfg.PingTimeout)
	}
	p.mu.Lock()
	p.getting, p.answering = false, false
	p.through.Broadcast()
	p.mu.Unlock()
	switch err {
	case nil:
	case errMoved, errOver:
		p.refuse(w, err)
	default: // what was on its way may be lost
		p.s.close(closeGone, errLetGo.Error(), true)
	}
}

// beginGet lets one GET in at a time. A client may have the last one's answer, and come by another connection, before we know
// that it is written.
func (p *poller) beginGet(stamp string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.stamps.again(&p.stamps.get, stamp)
	for p.answering {
		p.through.Wait()
	}
	switch {
	case p.moved:
		return errMoved
	case p.getting:
		return errOverlap
	case p.ended && p.last == nil:
		return errOver
	case again:
		return errAgain
	}
	p.getting = true
	p.gets++
	return nil
}

// refuse answers a request that brings nothing. Two at a time cost the client the session: it has lost count. So does a lost
// answer: what was in it is to be had by coming back.
func (p *poller) refuse(w http.ResponseWriter, err error) {
	switch err {
	case errOverlap:
		p.s.close(closeProtocol, err.Error(), true)
	case errAgain:
		p.s.close(closeGone, err.Error(), true)
	}
	if err == errOver || err == errAgain {
		refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
		return
	}
	refuse(w, http.StatusBadRequest, engineio.ErrBadRequest)
}

// await waits until there is something to answer a GET with.
func (p *poller) await(ctx context.Context) (body []byte, err error) {
	for {
		body, pause, err := p.look()
		if body != nil || err != nil {
			return body, err
		}
		var enough <-chan time.Time
		if pause > 0 {
			enough = time.After(pause)
		}
		select {
		case <-p.news:
		case <-enough:
			p.mu.Lock()
			p.letGo = true
			p.mu.Unlock()
		case <-ctx.Done():
			return nil, errLetGo
		}
	}
}

// look takes what the outbox holds. Nothing is taken once the session has moved: from then on all goes by the other door.
func (p *poller) look() (body []byte, pause time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved {
		return nil, 0, errMoved
	}
	frames := p.s.out.take(nil, p.written)
	p.written = sizeOf(frames)
	switch {
	case p.ended && p.last == nil:
		return nil, 0, errOver
	case p.ended:
		frames = append(frames, p.last)
		p.last = nil
		close(p.told)
	case len(frames) == 0 && p.letGo:
		frames = append(frames, noopFrame)
	}
	p.letGo = p.letGo && len(frames) == 0
	p.answering = len(frames) > 0
	for _, f := range frames {
		body = f.AppendPayload(body)
	}
	if p.probe != nil {
		pause = probePause
	}
	return body, pause, nil
}

// answer sends a poll's body; an error means that it may not arrive. It may take as long as within.
func answer(w http.ResponseWriter, body []byte, within time.Duration) error {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(within)) // a server that has none has other bounds
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	_ = c.SetWriteDeadline(time.Time{}) // the connection serves other requests after this one
	return nil
}

func (p *poller) post(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	again := p.stamps.again(&p.stamps.post, r.URL.Query().Get("t"))
	err := error(nil)
	switch {
	case p.moved:
		err = errMoved
	case p.ended:
		err = errOver
	case p.posting:
		err = errOverlap
	default:
		p.posting = true
	}
	p.mu.Unlock()
	if err != nil {
		p.refuse(w, err)
		return
	}
	status := http.StatusOK
	if !again { // else it has been taken already
		status = p.receive(w, r)
	}
	p.mu.Lock()
	p.posting = false
	p.mu.Unlock()
	switch status {
	case http.StatusOK:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "ok")
	case http.StatusBadRequest:
		refuse(w, status, engineio.ErrBadRequest)
	default:
		http.Error(w, http.StatusText(status), status)
	}
}

// receive takes the packets of a POST, and returns the status that it is answered with.
func (p *poller) receive(w http.ResponseWriter, r *http.Request) (status int) {
	s := p.s
	if r.Header.Get("Content-Type") == "application/octet-stream" {
		s.close(closeProtocol, "a body of bytes", true)
		return http.StatusBadRequest
	}
	body, err := readBody(w, r, s.eng.cfg)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		s.fail(&tooBig{"a POST"})
		return http.StatusRequestEntityTooLarge
	case err != nil:
		s.close(closeGone, errLetGo.Error(), true)
		return http.StatusBadRequest
	}
	for b := range engineio.SplitPayload(body) {
		packet, err := engineio.ParseText(b)
		if err == nil {
			err = s.take(packet)
		}
		if err == nil {
			continue
		}
		s.fail(err)
		if err != errBye {
			status = http.StatusBadRequest
		}
		break
	}
	return max(status, http.StatusOK)
}

// readBody reads a POST, for which boundBody has set a time.
func readBody(w http.ResponseWriter, r *http.Request, cfg Config) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(cfg.MaxPayload)))
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return body, err
}

// end implements door. A GET that waits is let go; where none does, the next one is, if it comes soon. The client learns of the
// end by the one after it, which fails, and comes back: python-socketio takes a close packet for good. What costs a client
// its session, it learns from the status of the request that did.
func (p *poller) end(code int, _ string, hurry bool) {
	p.mu.Lock()
	again := p.ended
	if again && !hurry {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if p.probe != nil {
		p.probe()
	}
	tell := p.getting || !hurry && code != closeProtocol && code != closeTooBig
	switch {
	case again && p.last != nil && !p.getting: // hastened: nobody waits any longer
		p.last = nil
		close(p.told)
	case !again && tell:
		p.last, p.told = noopFrame, make(chan struct{})
		if code == closeProtocol {
			p.last = closeFrame
		}
	}
	told := p.told
	p.mu.Unlock()
	p.wake()
	if !again {
		p.s.out.close()
		p.s.eng.wg.Go(func() { p.bury(told) })
	}
}

// bury sees to what is left of a session that has ended.
func (p *poller) bury(told <-chan struct{}) {
	p.s.finish()
	if told != nil {
		select {
		case <-told:
		case <-time.After(lateGet):
			p.mu.Lock()
			p.last = nil
			p.mu.Unlock()
		}
	}
	p.s.eng.forget(p.s)
}
