package wiretest

import (
	"bytes"
	"compress/flate"
	"io"
)

// rsv1 marks the first frame of a compressed message (RFC 7692, section 6).
const rsv1 = 0x40

// DeflateOffer is what browsers offer.
const DeflateOffer = "permessage-deflate; client_max_window_bits"

// Deflate compresses a message (RFC 7692, section 7.2.1).
func Deflate(message []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // it refuses other levels
	_, _ = w.Write(message)                            // a buffer takes all
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// Inflate is the inverse of Deflate (section 7.2.2).
func Inflate(payload []byte) ([]byte, error) {
	tail := "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // with an empty last block
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), bytes.NewReader([]byte(tail)))))
}

// DeflatedFrame is ClientFrame for a message that is compressed here.
func DeflatedFrame(op byte, message []byte) []byte {
	return ClientFrame(0x80|rsv1|op, Deflate(message))
}
