package public

import (
	"strconv"
	"strings"
)

// chooseEncoding picks, of the encodings that there are, the one that an
// Accept-Encoding header likes best; on a tie the first listed. The empty string
// is identity. ok is false where the client takes none of them.
func chooseEncoding(header []string, have map[string][]byte) (encoding string, ok bool) {
	wanted := parseAccept(strings.Join(header, ","))
	best := 0.0
	for _, e := range encodings {
		if _, there := have[e.name]; !there {
			continue
		}
		if q := quality(wanted, e.name, 0); q > best {
			encoding, best = e.name, q
		}
	}
	// Identity is acceptable unless refused, but compressed bytes are preferred
	// over it at the same quality.
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

// quality looks an encoding up, by name or by the wildcard.
func quality(wanted map[string]float64, name string, otherwise float64) float64 {
	if q, named := wanted[name]; named {
		return q
	}
	// A wildcard other than zero says nothing of identity, which needs no leave.
	if q, any := wanted["*"]; any && (name != "identity" || q == 0) {
		return q
	}
	return otherwise
}

func parseAccept(header string) map[string]float64 {
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
		wanted[name] = weight(parameters)
	}
	return wanted
}

// weight reads "q=0.5"; what cannot be read counts as refused.
func weight(parameters string) float64 {
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
