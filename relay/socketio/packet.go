// Package socketio is the codec of Socket.IO v5 (https://socket.io/docs/v4/socket-io-protocol/),
// without I/O.
//
// A packet is the data of one Engine.IO message:
//
//	<type>[<attachments>-][<namespace>,][<ack id>][<json>]
//
//	0{"name":"Asha"}              connect to the namespace "/"
//	0/admin,                      connect to the namespace "/admin"
//	212["join",{"room":"a"}]      an event that wants an ack, with id 12
//	312[{"ok":true}]              the ack to it
//	51-["photo",{"_placeholder":true,"num":0}]   an event, followed by one binary packet
//	1                             disconnect
//
// JSON passes through byte for byte: Parse checks it and Append copies it.
package socketio

import (
	"errors"
	"strconv"
	"strings"
)

// Type says what a packet is. Its value is the byte on the wire.
type Type byte

// The packets of Socket.IO v5.
const (
	Connect      Type = '0'
	Disconnect   Type = '1'
	Event        Type = '2'
	Ack          Type = '3'
	ConnectError Type = '4'
	BinaryEvent  Type = '5'
	BinaryAck    Type = '6'
)

var names = [...]string{"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"}

func (t Type) valid() bool  { return Connect <= t && t <= BinaryAck }
func (t Type) binary() bool { return t == BinaryEvent || t == BinaryAck }
func (t Type) event() bool  { return t == Event || t == BinaryEvent }
func (t Type) ack() bool    { return t == Ack || t == BinaryAck }

func (t Type) String() string {
	if !t.valid() {
		return "unknown"
	}
	return names[t-Connect]
}

// Bounds of what Parse and Arguments take.
const (
	MaxAttachments = 10  // binary packets that follow one packet
	MaxDepth       = 520 // arrays and objects inside one another; Python's json gives up at 980
	MaxNamespace   = 256 // bytes of a namespace
	MaxItems       = 256 // items of an event's or an ack's array
)

// What can be wrong with a packet.
var (
	ErrEmpty       = errors.New("socketio: empty packet")
	ErrType        = errors.New("socketio: unknown packet type")
	ErrAttachments = errors.New("socketio: bad count of attachments")
	ErrNamespace   = errors.New("socketio: bad namespace")
	ErrID          = errors.New("socketio: bad ack id")
	ErrUTF8        = errors.New("socketio: text is not UTF-8")
	ErrJSON        = errors.New("socketio: payload is not JSON")
	ErrDepth       = errors.New("socketio: payload is nested too deep")
	ErrPayload     = errors.New("socketio: payload does not fit the packet's type")
	ErrName        = errors.New("socketio: an event's name must be a string or a number")
	ErrReserved    = errors.New("socketio: reserved event name")
	ErrItems       = errors.New("socketio: too many arguments")
	ErrPlaceholder = errors.New("socketio: a placeholder names no attachment")
)

// Packet is one Socket.IO packet.
type Packet struct {
	Type        Type
	Namespace   string // "/" if the wire names none
	ID          uint64 // of the ack that is wanted or given; only if HasID is set
	HasID       bool
	Attachments int    // binary packets that follow; only of binary types
	Data        []byte // JSON as it came; may be empty
}

// Append writes p to dst, an empty Namespace meaning "/". It checks what decides how the packet is
// read back (type, attachments, namespace, id, the payload's first byte), but not that Data is
// valid JSON. On an error it returns dst as it was.
func (p Packet) Append(dst []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return dst, err
	}
	dst = append(dst, byte(p.Type))
	if p.Type.binary() {
		dst = strconv.AppendInt(dst, int64(p.Attachments), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != "" && p.Namespace != "/" {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...), nil
}

func (p Packet) check() error {
	switch {
	case !p.Type.valid():
		return ErrType
	case p.Attachments < 0 || p.Attachments > MaxAttachments || p.Attachments > 0 && !p.Type.binary():
		return ErrAttachments
	case p.Namespace != "" && !namespaceOK(p.Namespace):
		return ErrNamespace
	case !idFits(p.Type, p.HasID):
		return ErrID
	}
	return checkShape(p.Type, p.Data)
}

func namespaceOK(s string) bool {
	return s[0] == '/' && len(s) <= MaxNamespace && strings.IndexByte(s, ',') < 0
}

// idFits reports whether a packet of type t may have an id, or may be without one.
func idFits(t Type, has bool) bool { return t.event() || t.ack() == has }
