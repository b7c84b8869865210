package public

import (
	"strconv"
	"strings"
)

// chooseEncoding returns the encoding, of those in have, to which the Accept-Encoding header gives
// the highest quality (RFC 9110, section 12.5.3); among equals the first in knownEncodings. The
// empty string means identity. ok is false if the client accepts none of them.
func chooseEncoding(header []string, have map[string][]byte) (encoding string, ok bool) {
	wanted := parseAcceptEncoding(strings.Join(header, ","))
	best := 0.0
	for _, e := range knownEncodings {
		if _, there := have[e.name]; !there {
			continue
		}
		if q := quality(wanted, e.name, 0); q > best {
			encoding, best = e.name, q
		}
	}
	// Identity is acceptable unless it is refused, but a compressed form is preferred at the same
	// quality.
	plain := quality(wanted, "identity", -1)
	switch {
	case plain < 0 && best > 0:
		return encoding, true
	case plain < 0:
		return "", true
	case plain > best:
		return "", true
	}
	return encoding, best > 0
}

// quality returns the quality of an encoding, by its name or by the wildcard, or else otherwise.
func quality(wanted map[string]float64, name string, otherwise float64) float64 {
	if q, named := wanted[name]; named {
		return q
	}
	// Identity is acceptable anyway, so a wildcard matters to it only if its quality is zero.
	if q, any := wanted["*"]; any && (name != "identity" || q == 0) {
		return q
	}
	return otherwise
}

// parseAcceptEncoding returns the quality of each encoding in the header.
func parseAcceptEncoding(header string) map[string]float64 {
	wanted := make(map[string]float64)
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if name == "x-gzip" {
			name = "gzip"
		}
		wanted[name] = parseWeight(parameters)
	}
	return wanted
}

// parseWeight returns the value of the parameter q, or 1 if there is none. A value that is not
// valid counts as 0, a refusal.
func parseWeight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, found := strings.Cut(strings.TrimSpace(p), "=")
		if !found || !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || q < 0 || q > 1 {
			return 0
		}
		return q
	}
	return 1
}
