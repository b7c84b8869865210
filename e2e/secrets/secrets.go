// Package secrets knows what tests have given to relays, or got from them, that nobody else may see. What
// any process of a test writes is searched for all of it.
package secrets

import (
	"slices"
	"strings"
	"sync"
)

// shortest is how long a secret is at least, in bytes: shorter ones stand in other words.
const shortest = 12

var planted struct {
	sync.Mutex
	all map[string]string // what it is, by its text
}

// Plant notes a secret, and what it is. Planting it again does no harm.
func Plant(what, text string) {
	if len(text) < shortest {
		return
	}
	planted.Lock()
	defer planted.Unlock()
	if planted.all == nil {
		planted.all = map[string]string{}
	}
	planted.all[text] = what
}

// In returns what stands in a text, each once, with the line in which it does first.
func In(text string) (found []string) {
	planted.Lock()
	defer planted.Unlock()
	for secret, what := range planted.all {
		at := strings.Index(text, secret)
		if at < 0 {
			continue
		}
		begin, end := strings.LastIndexByte(text[:at], '\n')+1, strings.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text) - at
		}
		found = append(found, what+" in: "+text[begin:at+end])
	}
	slices.Sort(found)
	return found
}
