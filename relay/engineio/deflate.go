package engineio

// rsv1 marks the first frame of a message that is compressed (RFC 7692, section 6).
const rsv1 = 0x40

// Deflated returns what is written in f's place to a WebSocket whose messages may be compressed
// (permessage-deflate, RFC 7692). It is made once for all of them, so it takes no context from what one of
// them was sent before. deflate returns a message's payload compressed, or nil if it is to go out as it
// is. What is returned is for writing alone: it has no packets to read.
func (f *Frame) Deflated(deflate func(payload []byte) []byte) *Frame {
	f.deflated.once.Do(func() { f.deflated.frame = f.deflate(deflate) })
	return f.deflated.frame
}

func (f *Frame) deflate(deflate func(payload []byte) []byte) *Frame {
	var b []byte
	for rest := f.wire; len(rest) > 0; {
		n, payload := cutHeader(rest)
		message := rest[:len(rest)-len(payload)+n]
		if small := deflate(payload[:n]); small == nil {
			b = append(b, message...)
		} else {
			b = append(appendHeader(b, rest[0]|rsv1, len(small)), small...)
		}
		rest = payload[n:]
	}
	if len(b) == len(f.wire) { // nothing is worth it
		return f
	}
	return &Frame{wire: b, headerLen: len(b), packetEnd: len(b)}
}
