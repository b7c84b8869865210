package handshake

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"
)

// response is the http.ResponseWriter of one handshake: mostly the connection is taken over; else a short
// answer says why not, which goes out at the end.
type response struct {
	conn     net.Conn
	header   http.Header
	status   int
	body     bytes.Buffer
	hijacked func() // told when the connection is taken over
	taken    bool
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// handoverBuffer is the size of the buffers that Hijack returns: nothing has been read ahead, and who takes
// a connection over has buffers of its own.
const handoverBuffer = 16

// Hijack implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.taken {
		return nil, nil, http.ErrHijacked
	}
	w.taken = true
	w.hijacked()
	_ = w.conn.SetDeadline(time.Time{})
	return w.conn, bufio.NewReadWriter(bufio.NewReaderSize(w.conn, handoverBuffer), bufio.NewWriterSize(w.conn, handoverBuffer)), nil
}

// SetReadDeadline is for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error { return w.conn.SetReadDeadline(t) }

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

// finish sends the answer.
func (w *response) finish() error {
	w.WriteHeader(http.StatusOK)
	h := w.Header()
	h.Set("Content-Length", strconv.Itoa(w.body.Len()))
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(w.status) + " " + http.StatusText(w.status) + "\r\n")
	_ = h.Write(&b) // a buffer takes all
	b.WriteString("\r\n")
	b.Write(w.body.Bytes())
	_, err := w.conn.Write(b.Bytes())
	return err
}
