package public

import (
	"bytes"
	"compress/gzip"
	"io"

	"github.com/andybalholm/brotli"
)

// brotliLevel is for a page that is sent a few times: a tenth larger than at the best level, and made in
// a fiftieth of the time.
const brotliLevel = 5

// encoders make, of what is not known before it is asked for, the encodings of knownEncodings.
var encoders = map[string]func([]byte) ([]byte, error){
	"br": func(b []byte) ([]byte, error) {
		return encodeBy(b, func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriterLevel(w, brotliLevel), nil })
	},
	"gzip": func(b []byte) ([]byte, error) {
		return encodeBy(b, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.DefaultCompression) })
	},
}

func encodeBy(b []byte, open func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var out bytes.Buffer
	w, err := open(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
