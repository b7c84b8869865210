package socketio

// ParseHead reads the beginning of a packet whose rest is not there: its type, attachments,
// namespace and id. The payload, of which Data is as much as there is, is only checked to begin as
// one that fits the type. ParseHead returns an error if b ends before that.
func ParseHead(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrEmpty
	}
	p := Packet{Type: Type(b[0])}
	if !p.Type.valid() {
		return Packet{}, ErrType
	}
	rest, err := p.parseHead(b[1:])
	if err != nil {
		return Packet{}, err
	}
	p.Data = rest
	if skipSpace(rest, 0) == len(rest) {
		return Packet{}, ErrPayload
	}
	return p, checkShape(p.Type, p.Data)
}
