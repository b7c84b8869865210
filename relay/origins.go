package relay

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// hosts converts the names of hosts as browsers do (UTS #46, nontransitional).
var hosts = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckHyphens(false))

// asciiSite returns an item of a list of sites with its host as browsers write it in the header
// Origin: of https://bücher.example they make https://xn--bcher-kva.example. What is no host is left
// as it is, for the check to refuse.
func asciiSite(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return s // what a program names its pages is its own affair
	}
	name, wild := strings.CutPrefix(rest, "*.")
	tail := ""
	if end := strings.IndexAny(name, ":/?#@\\"); end >= 0 {
		name, tail = name[:end], name[end:]
	}
	if !strings.ContainsFunc(name, func(c rune) bool { return c > unicode.MaxASCII }) {
		return s
	}
	name, err := hosts.ToASCII(name)
	if err != nil {
		return s
	}
	if wild {
		name = "*." + name
	}
	return scheme + "://" + name + tail
}
