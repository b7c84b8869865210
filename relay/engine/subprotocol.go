package engine

import (
	"errors"
	"net/http"
	"strings"
)

// errSubprotocols is the stock server's word, which answers it with 400.
var errSubprotocols = errors.New("Invalid Sec-WebSocket-Protocol header") //lint:ignore ST1005 the stock server's words

// subprotocols returns what to choose a WebSocket's subprotocol from: the first that the client
// offers, whatever it means, or nothing if it offers none. A browser fails a connection of which no
// offer was taken, and the stock server (ws) takes the first. As there, an offer that is no list of
// different tokens (RFC 6455, 4.1) is refused.
func subprotocols(h http.Header) ([]string, error) {
	lists := h.Values("Sec-WebSocket-Protocol")
	if len(lists) == 0 {
		return nil, nil
	}
	offers := strings.Split(strings.Join(lists, ","), ",")
	seen := make(map[string]bool, len(offers))
	for i, offer := range offers {
		offer = strings.Trim(offer, " \t")
		if !isToken(offer) || seen[offer] {
			return nil, errSubprotocols
		}
		offers[i], seen[offer] = offer, true
	}
	return offers[:1], nil
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
