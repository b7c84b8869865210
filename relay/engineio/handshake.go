package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Handshake is the data of the Open packet.
type Handshake struct {
	SID          string   `json:"sid"`          // the session's id, a secret
	Upgrades     []string `json:"upgrades"`     // transports to which the client may upgrade
	PingInterval int64    `json:"pingInterval"` // ms between the server's pings
	PingTimeout  int64    `json:"pingTimeout"`  // ms that the client has to answer one
	MaxPayload   int64    `json:"maxPayload"`   // bytes accepted in one frame or request body
}

var errHandshake = errors.New("engineio: handshake without a session id or heartbeat")

// ParseHandshake parses the data of an Open packet. It returns an error if there is no session id,
// PingInterval or PingTimeout is not positive, or MaxPayload is negative. MaxPayload is 0 if the
// server gave none.
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

// Append appends h's JSON to dst, without the packet's type. Upgrades is written as a list, never
// as null. SID and Upgrades must be printable ASCII without quotes and backslashes, as this
// server's are.
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
