package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Handshake is the data of the Open packet.
type Handshake struct {
	SID          string   `json:"sid"`          // the session's id: a secret
	Upgrades     []string `json:"upgrades"`     // transports that the client may move to
	PingInterval int64    `json:"pingInterval"` // ms between the server's pings
	PingTimeout  int64    `json:"pingTimeout"`  // ms that the client has to answer one
	MaxPayload   int64    `json:"maxPayload"`   // bytes that the server takes in one frame or request body
}

var errHandshake = errors.New("engineio: handshake without a session id or heartbeat")

// ParseHandshake reads the data of an Open packet. A handshake without a session id, or whose heartbeat is not positive,
// is an error; MaxPayload 0 means that the server named none.
func ParseHandshake(data []byte) (Handshake, error) {
	var h Handshake
	if err := json.Unmarshal(data, &h); err != nil {
		return Handshake{}, fmt.Errorf("engineio: handshake: %w", err)
	}
	if h.SID == "" || h.PingInterval <= 0 || h.PingTimeout <= 0 || h.MaxPayload < 0 {
		return Handshake{}, errHandshake
	}
	return h, nil
}

// Append writes h's JSON to dst, without the packet's type. Upgrades is written as a list, never as null. The session id
// and the names of transports are ASCII without quotes, as this server makes them.
func (h Handshake) Append(dst []byte) []byte {
	dst = append(dst, `{"sid":`...)
	dst = strconv.AppendQuote(dst, h.SID)
	dst = append(dst, `,"upgrades":[`...)
	for i, u := range h.Upgrades {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendQuote(dst, u)
	}
	dst = append(dst, `],"pingInterval":`...)
	dst = strconv.AppendInt(dst, h.PingInterval, 10)
	dst = append(dst, `,"pingTimeout":`...)
	dst = strconv.AppendInt(dst, h.PingTimeout, 10)
	dst = append(dst, `,"maxPayload":`...)
	dst = strconv.AppendInt(dst, h.MaxPayload, 10)
	return append(dst, '}')
}
