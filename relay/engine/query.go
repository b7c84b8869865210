package engine

import (
	"net/http"
	"net/url"
	"strings"
)

// Param returns the first value of a parameter of a request's query, as r.URL.Query().Get does. A handshake is
// asked for several parameters, and all that Query makes for each would be thrown away.
func Param(r *http.Request, name string) string {
	value, _ := param(r, name)
	return value
}

// param is Param, and returns how often the parameter comes.
func param(r *http.Request, name string) (value string, times int) {
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		escaped, text, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(escaped)
		text, err2 := url.QueryUnescape(text)
		if err1 != nil || err2 != nil || key != name || strings.Contains(pair, ";") {
			continue // what can't be read is not there
		}
		if times++; times == 1 {
			value = text
		}
	}
	return value, times
}
