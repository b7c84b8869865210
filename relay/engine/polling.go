package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"setu/relay/engineio"
	"setu/relay/metrics"
)

const (
	// lateGetTimeout is how long a session that was closed between two GETs waits for the second, to
	// tell it so, and for each one more if several answers are left.
	lateGetTimeout = time.Second
	// probePause is how long a GET that comes in the middle of an upgrade waits for the upgrade.
	probePause = 50 * time.Millisecond
	// answerPackets is how many packets one answer brings at most: python-engineio drops an answer of
	// more (its max_decode_packets). The packets of one frame stay together, and are fewer.
	answerPackets = 16
)

// pollingTransport is HTTP long-polling: the client always has a GET waiting, which brings what the
// outbox holds, and sends by POST.
type pollingTransport struct {
	s    *Session
	news chan struct{} // holds one: a GET that waits looks again

	mu        sync.Mutex // guards what follows
	getting   bool
	gets      int       // let in so far
	answering bool      // the GET has what it was waiting for
	answered  sync.Cond // on mu: answering ended
	posting   bool
	letGo     bool               // the GET that waits is to go, for an upgrade
	probe     context.CancelFunc // ends the upgrade under way, or nil
	upgraded  bool               // the session goes on over WebSocket
	retries   retryDetector
	written   int // bytes of the last answer: the next GET shows that they have arrived
	ended     bool
	last      *engineio.Frame // what a GET is still to be told of the end, or nil
	told      chan struct{}   // closed once it is
	took      chan struct{}   // holds one: a GET took what comes before that
}

var (
	noopFrame  = controlFrame(engineio.Noop)
	closeFrame = controlFrame(engineio.Close)
)

// controlFrame returns a frame of a packet without data.
func controlFrame(t engineio.Type) *engineio.Frame {
	return engineio.NewFrame(1, func(dst []byte) []byte { return append(dst, byte(t)) })
}

// openPolling opens a session by its first GET.
func (srv *Server) openPolling(w http.ResponseWriter, r *http.Request) {
	s := srv.openSession(w, r)
	if s == nil {
		return
	}
	p := &pollingTransport{s: s, news: make(chan struct{}, 1)}
	p.answered.L = &p.mu
	s.out.wake = p.wake // nobody else knows of s yet
	s.begin(p)
	if err := s.writePoll(w, s.handshake("websocket").AppendPayload(nil)); err != nil {
		s.close(closeGone, "the handshake was dropped", true)
	}
}

// wake has a GET that waits look again.
func (p *pollingTransport) wake() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// poll takes a GET or a POST of a session.
func (srv *Server) poll(w http.ResponseWriter, r *http.Request, s *Session) {
	s.heartbeat.checkNow()
	s.mu.Lock()
	p, polls := s.transport.(*pollingTransport)
	s.mu.Unlock()
	switch {
	case polls && r.Method == http.MethodGet:
		p.get(w, r)
	case polls && r.Method == http.MethodPost:
		p.post(w, r)
	default: // it goes by WebSocket, or this is no method of ours
		srv.refuseRequest(w, r, engineio.ErrBadRequest)
	}
}

// Why a request of polling fails.
var (
	errUpgraded = errors.New("the session goes on over WebSocket")
	errEnded    = errors.New("the session has ended")
	errOverlap  = errors.New("two requests at a time")
	errDropped  = errors.New("a request was dropped")
	errRetry    = errors.New("a request came again: the answer to the first is lost")
)

func (p *pollingTransport) get(w http.ResponseWriter, r *http.Request) {
	if err := p.beginGet(Param(r, "t")); err != nil {
		p.refuse(w, err)
		return
	}
	body, err := p.awaitBody(r.Context())
	if err == nil {
		err = p.s.writePoll(w, body)
	}
	p.mu.Lock()
	p.getting, p.answering = false, false
	p.answered.Broadcast()
	p.mu.Unlock()
	switch err {
	case nil:
	case errUpgraded, errEnded:
		p.refuse(w, err)
	default: // what was on its way may be lost
		p.s.close(closeGone, errDropped.Error(), true)
	}
}

// beginGet lets one GET in at a time. A client may have the last one's answer, and come by another
// connection, before this side knows that it is written.
func (p *pollingTransport) beginGet(t string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	retry := p.retries.isRetry(&p.retries.get, t)
	for p.answering {
		p.answered.Wait()
	}
	switch {
	case p.upgraded:
		return errUpgraded
	case p.getting:
		return errOverlap
	case p.ended && p.last == nil:
		return errEnded
	case retry:
		return errRetry
	}
	p.getting = true
	p.gets++
	return nil
}

// refuse answers a request that brings nothing. Two at a time cost the client the session, since it
// has lost count. So does a lost answer: what was in it is to be had by coming back.
func (p *pollingTransport) refuse(w http.ResponseWriter, err error) {
	p.s.srv.boundAnswer(w)
	switch err {
	case errOverlap:
		p.s.close(closeProtocol, err.Error(), true)
	case errRetry:
		p.s.close(closeGone, err.Error(), true)
	}
	if err == errEnded || err == errRetry {
		Refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
		return
	}
	Refuse(w, http.StatusBadRequest, engineio.ErrBadRequest)
}

// awaitBody waits until there is something to answer a GET with.
func (p *pollingTransport) awaitBody(ctx context.Context) (body []byte, err error) {
	for {
		body, pause, err := p.takeBody()
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
			return nil, errDropped
		}
	}
}

// takeBody takes what the outbox holds, as far as one answer may bring it. Nothing is taken once the
// session is upgraded: from then on all goes by the WebSocket.
func (p *pollingTransport) takeBody() (body []byte, pause time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.upgraded {
		return nil, 0, errUpgraded
	}
	most := answerPackets
	if p.last != nil {
		most--
	}
	frames, left := p.s.out.takePackets(most, p.written)
	p.written = sizeOf(frames)
	switch {
	case p.ended && p.last == nil:
		return nil, 0, errEnded
	case p.ended && !left:
		frames = append(frames, p.last)
		p.last = nil
		close(p.told)
	case p.ended:
		p.noteTaken()
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

// noteTaken has cleanUp wait for the next GET.
func (p *pollingTransport) noteTaken() {
	select {
	case p.took <- struct{}{}:
	default:
	}
}

// writePoll sends a poll's body, which may take as long as the answer to a ping. An error means that it
// may not arrive.
func (s *Session) writePoll(w http.ResponseWriter, body []byte) error {
	s.srv.cfg.Metrics.SentBytes.Of(metrics.Polling).Add(float64(len(body)))
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(s.srv.cfg.PingTimeout)) // a server that has none has other bounds
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

func (p *pollingTransport) post(w http.ResponseWriter, r *http.Request) {
	retry, err := p.beginPost(Param(r, "t"))
	if err != nil {
		p.refuse(w, err)
		return
	}
	status := http.StatusOK
	if !retry { // else it has been taken already
		status = p.receive(w, r)
	}
	p.mu.Lock()
	p.posting = false
	p.mu.Unlock()
	p.s.srv.boundAnswer(w)
	switch status {
	case http.StatusOK:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "ok")
	case http.StatusBadRequest:
		Refuse(w, status, engineio.ErrBadRequest)
	case http.StatusTooManyRequests:
		refuseExcess(w, countRetry)
	default:
		http.Error(w, http.StatusText(status), status)
	}
}

// beginPost lets one POST in at a time.
func (p *pollingTransport) beginPost(t string) (retry bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	retry = p.retries.isRetry(&p.retries.post, t)
	switch {
	case p.upgraded:
		return retry, errUpgraded
	case p.ended:
		return retry, errEnded
	case p.posting:
		return retry, errOverlap
	}
	p.posting = true
	return retry, nil
}

// receive takes the packets of a POST, and returns the status that it is answered with.
func (p *pollingTransport) receive(w http.ResponseWriter, r *http.Request) (status int) {
	s := p.s
	if r.Header.Get("Content-Type") == "application/octet-stream" {
		s.close(closeProtocol, "a body of bytes", true)
		return http.StatusBadRequest
	}
	body, err := readBody(w, r, s.srv.cfg.MaxPayload)
	s.srv.cfg.Metrics.ReceivedBytes.Of(metrics.Polling).Add(float64(len(body)))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		s.Fail(&TooLargeError{"a POST"})
		return http.StatusRequestEntityTooLarge
	case err != nil:
		s.close(closeGone, errDropped.Error(), true)
		w.Header().Set("Connection", "close") // what is left of the body is nobody's
		return http.StatusBadRequest
	}
	s.received(len(body))
	for b := range engineio.SplitPayload(body) {
		s.awaitTurn(packetPrice)
		packet, err := engineio.ParseText(b)
		if err == nil {
			err = s.take(packet)
		}
		if s.isShed() {
			return http.StatusTooManyRequests
		}
		if err == nil {
			continue
		}
		s.Fail(err)
		if err != errGoodbye {
			status = http.StatusBadRequest
		}
		break
	}
	return max(status, http.StatusOK)
}

// readBody reads a POST, for which boundRequest has set a deadline.
func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return body, err
}

// end implements transport. A GET that waits is let go; if none does, the next one is, if it comes
// soon. The client learns of the end by the one after it, which fails, and comes back:
// python-socketio takes a close packet for good. What costs a client its session, it learns from the
// status of the request that did.
func (p *pollingTransport) end(code int, _ string, force bool) {
	p.mu.Lock()
	again := p.ended
	if again && !force {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if p.probe != nil {
		p.probe()
	}
	tell := p.getting || !force && code != closeProtocol && code != closeTooLarge
	switch {
	case again && p.last != nil && (!p.getting || p.answering): // forced: nobody waits any longer
		p.last = nil
		close(p.told)
	case !again && tell:
		p.last, p.told, p.took = noopFrame, make(chan struct{}), make(chan struct{}, 1)
		if code == closeProtocol {
			p.last = closeFrame
		}
	}
	told := p.told
	p.mu.Unlock()
	p.wake()
	if !again {
		p.s.out.close()
		p.s.srv.wg.Go(func() { p.cleanUp(told, closeWait(code)) })
	}
}

// cleanUp sees to what is left of a session that has ended.
func (p *pollingTransport) cleanUp(told <-chan struct{}, within time.Duration) {
	p.s.onTransportClosed()
	if told != nil {
		p.awaitTold(told, within)
	}
	p.s.srv.remove(p.s)
}

// awaitTold waits until GETs have brought what was queued and the end, or none comes any more.
func (p *pollingTransport) awaitTold(told <-chan struct{}, within time.Duration) {
	enough := time.After(within)
	for {
		select {
		case <-told:
			return
		case <-p.took:
			continue
		case <-time.After(lateGetTimeout):
		case <-enough:
		}
		p.mu.Lock()
		p.last = nil
		p.mu.Unlock()
		return
	}
}
