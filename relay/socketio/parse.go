package socketio

import (
	"bytes"
	"encoding/json"
	"math"
	"unicode/utf8"
)

// Parse reads one packet from the data of an Engine.IO message and checks all of it: the bounds
// above, that the text is UTF-8 and the payload JSON, and that the payload fits the type: a
// non-empty array that begins with a name that is not reserved (events), an array (acks), an object
// or nothing (connect), an object or a string (connect error), nothing (disconnect). Of the binary
// types every placeholder names one of the attachments. Data aliases b. What Parse took may be
// passed on to others as it is.
//
// With ErrDepth, Parse returns the packet without its Data, so that its sender can be answered and
// its attachments awaited.
func Parse(b []byte) (Packet, error) { return ParseDepth(b, MaxDepth) }

// ParseDepth is Parse with another bound on nesting. What a relay sends wraps what it took from a
// client (a message in the list of an ack, say), so a client has to allow a few levels more than
// the relay did.
func ParseDepth(b []byte, maxDepth int) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrEmpty
	}
	p := Packet{Type: Type(b[0])}
	if !p.Type.valid() {
		return Packet{}, ErrType
	}
	if !utf8.Valid(b) {
		return Packet{}, ErrUTF8
	}
	rest, err := p.parseHead(b[1:])
	if err != nil {
		return Packet{}, err
	}
	p.Data = rest
	switch err := p.checkPayload(maxDepth); err {
	case nil:
		return p, nil
	case ErrDepth:
		p.Data = nil
		return p, err
	default:
		return Packet{}, err
	}
}

// parseHead reads attachments, namespace and id, and returns what follows them.
func (p *Packet) parseHead(b []byte) ([]byte, error) {
	var err error
	if p.Type.binary() {
		if p.Attachments, b, err = parseAttachments(b); err != nil {
			return nil, err
		}
	}
	if p.Namespace, b, err = parseNamespace(b); err != nil {
		return nil, err
	}
	if p.ID, p.HasID, b, err = parseID(b); err != nil {
		return nil, err
	}
	if !idFits(p.Type, p.HasID) {
		return nil, ErrID
	}
	return b, nil
}

// parseAttachments reads the count of attachments. It stops at the first digit too many, so that a
// count of a million digits costs nothing.
func parseAttachments(b []byte) (int, []byte, error) {
	n := 0
	for i, c := range b {
		if c == '-' && i > 0 {
			return n, b[i+1:], nil
		}
		if c < '0' || c > '9' {
			break
		}
		if n = n*10 + int(c-'0'); n > MaxAttachments {
			break
		}
	}
	return 0, nil, ErrAttachments
}

// parseNamespace also takes a namespace that ends with the packet instead of a comma, as old
// clients write it.
func parseNamespace(b []byte) (string, []byte, error) {
	if len(b) == 0 || b[0] != '/' {
		return "/", b, nil
	}
	head := b[:min(len(b), MaxNamespace+1)]
	end := bytes.IndexByte(head, ',')
	rest := []byte(nil)
	switch {
	case end >= 0:
		rest = b[end+1:]
	case len(b) <= MaxNamespace:
		end = len(b)
	default:
		return "", nil, ErrNamespace
	}
	if end == 1 {
		return "/", rest, nil
	}
	return string(b[:end]), rest, nil
}

func parseID(b []byte) (id uint64, has bool, rest []byte, err error) {
	for i, c := range b {
		if c < '0' || c > '9' {
			return id, has, b[i:], nil
		}
		d := uint64(c - '0')
		if id > (math.MaxUint64-d)/10 {
			return 0, false, nil, ErrID
		}
		id, has = id*10+d, true
	}
	return id, has, nil, nil
}

func (p *Packet) checkPayload(maxDepth int) error {
	if err := checkShape(p.Type, p.Data); err != nil || len(p.Data) == 0 {
		return err
	}
	if !shallow(p.Data, maxDepth) {
		return ErrDepth
	}
	if !json.Valid(p.Data) {
		return ErrJSON
	}
	if p.Type.binary() { // CVE-2022-2421: what a number isn't must not index anything
		if _, err := placeholders(p.Data, p.Attachments); err != nil {
			return err
		}
	}
	if !p.Type.event() {
		return nil
	}
	return checkName(p.Data)
}

// checkShape checks the payload's first byte, which decides what kind of JSON it is, if it is JSON
// at all.
func checkShape(t Type, data []byte) error {
	if len(data) == 0 {
		if t == Connect || t == Disconnect {
			return nil
		}
		return ErrPayload
	}
	first := data[skipSpace(data, 0):]
	if len(first) == 0 {
		return ErrJSON
	}
	var ok bool
	switch c := first[0]; t {
	case Connect:
		ok = c == '{'
	case ConnectError:
		ok = c == '{' || c == '"'
	case Event, Ack, BinaryEvent, BinaryAck:
		ok = c == '['
	}
	if !ok {
		return ErrPayload
	}
	return nil
}

// checkName checks the first item of an event's array, which is valid JSON.
func checkName(data []byte) error {
	i := skipSpace(data, 0) + 1
	i = skipSpace(data, i)
	switch c := data[i]; {
	case c == ']':
		return ErrPayload
	case c == '-' || '0' <= c && c <= '9':
		return nil
	case c != '"':
		return ErrName
	}
	name := data[i:skipString(data, i)]
	if bytes.IndexByte(name, '\\') < 0 {
		if reserved(name[1 : len(name)-1]) {
			return ErrReserved
		}
		return nil
	}
	var plain string
	if err := json.Unmarshal(name, &plain); err != nil {
		return ErrJSON
	}
	if Reserved(plain) {
		return ErrReserved
	}
	return nil
}

// Reserved reports whether name belongs to the protocol and so can't be an event's: the stock
// clients emit events of these names themselves.
func Reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

func reserved(name []byte) bool { return Reserved(string(name)) }
