package redis

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const calmAfter = probeTimeout // without a refusal: Redis takes what is written

// errDemoted: this connection leads to a server that is a replica now. The primary is to be found
// behind the same address.
var errDemoted = errors.New("the server that was the primary is a replica now")

// refusal returns why Redis, which answers, does not take what is written, given what it said: it
// was made a replica, is full, can't persist, or has too few replicas. nil: it does, or the error is
// of another kind.
func refusal(text string) error {
	text = strings.TrimPrefix(text, "-")
	if refusalCode(text) != "" {
		return errors.New(text)
	}
	return nil
}

// refusalCode returns the word that a refusal begins with, empty if it is none.
func refusalCode(text string) string {
	for _, code := range []string{"READONLY", "OOM", "MISCONF", "NOREPLICAS"} {
		if strings.HasPrefix(text, code) {
			return code
		}
	}
	return ""
}

func isDemoted(refused string) bool { return strings.HasPrefix(refused, "READONLY") }

// isCurrent reports whether c is the client that commands go to, or a connection of its.
func (b *Broker) isCurrent(c rueidis.CoreClient) bool {
	client, shared := c.(rueidis.Client)
	now := b.client.Load()
	return !shared || now != nil && *now == client
}

// noteRefusal looks at what Redis answered to a write: if it refused it, the health check finds
// out at once how it is. The answer alone may be a former server's, that came late.
func (f *feed) noteRefusal(err error) {
	f.b.noteDenial(err)
	if _, ok := rueidis.IsRedisErr(err); !ok || refusal(err.Error()) == nil {
		return
	}
	f.mu.Lock()
	f.refused++
	f.refusedAt = f.probeSent // what was sent until now may tell of before
	known := f.refusal != nil
	f.refusal = refusal(err.Error())
	f.mu.Unlock()
	nudge(f.tell)
	if !known {
		nudge(f.doubt)
	}
}

// denials are what Redis does not let this relay's user do, as it was told.
type denials struct {
	mu   sync.Mutex
	told []string
}

// maxDenials bounds what is told: there are fewer commands that a relay uses.
const maxDenials = 64

// add reports whether text is news, and is to be told.
func (d *denials) add(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) >= maxDenials || slices.Contains(d.told, text) {
		return false
	}
	d.told = append(d.told, text)
	return true
}

// noteDenial logs once of each command, key and channel that Redis does not let this user use. The health check asks
// for a few alone, and what takes others fails for as long as that is so.
func (b *Broker) noteDenial(err error) {
	if err == nil || !isDenial(err.Error()) {
		return
	}
	if text := b.redact(err).Error(); b.denied.add(text) {
		b.log.Error("Redis does not let this user do what a relay does: give it the rights of docs/redis.conf", "error", text)
	}
}

// isDenial reports whether an error says that the user has not the right to something: Redis has said so in other words
// to a script than to a client, and in other words yet since 7.2.
func isDenial(text string) bool {
	return strings.Contains(text, "no permissions to ") || strings.Contains(text, "No permissions to ") ||
		strings.Contains(text, "The user executing the script can't ") || strings.Contains(text, "ACL failure in script")
}

// setRefusal notes what the health check has found: whether Redis takes what is written. f.mu is held.
func (f *feed) setRefusal(why error) {
	if why != nil && isDemoted(why.Error()) {
		f.suspectConnection(errDemoted)
	}
	f.refusal = why
	nudge(f.tell)
}

// tellRefusals logs that Redis takes nothing that is written and, when nothing was refused for
// calmAfter, that it does again: once each, though at its very limit Redis takes little things between
// what it refuses. Each other reason is told once, too: it asks for another remedy. It ends with the
// broker.
func (f *feed) tellRefusals() {
	defer f.b.wg.Done()
	var since, last time.Time // of what was told, the first and the last refusal; zero: none was
	count := 0
	var told []string // codes of the reasons
	calm := time.NewTimer(calmAfter)
	defer calm.Stop()
	for {
		select {
		case <-f.b.ctx.Done():
			return
		case <-f.tell:
		case <-calm.C:
		}
		refused, why := f.takeRefused()
		count += refused
		if why != nil && !slices.Contains(told, refusalCode(why.Error())) {
			if since.IsZero() {
				since = time.Now()
			}
			told = append(told, refusalCode(why.Error()))
			f.b.log.Error("Redis answers and takes nothing that is written: not ready", "error", f.b.redact(why))
		}
		switch {
		case why != nil || refused > 0:
			last = time.Now()
			calm.Reset(calmAfter)
		case !since.IsZero() && time.Since(last) >= calmAfter:
			f.b.log.Info("Redis takes what is written again", "after", last.Sub(since).Round(time.Millisecond), "writes refused", count)
			since, count, told = time.Time{}, 0, nil
		}
	}
}

// takeRefused returns how many writes Redis has refused since the last call, and why it takes nothing
// that is written; nil: it does.
func (f *feed) takeRefused() (refused int, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	refused, why = f.refused, f.refusal
	f.refused = 0
	return refused, why
}

// dropClients closes the connections to a server that is the primary no more. The next are made anew.
func (b *Broker) dropClients() {
	for _, client := range []*atomic.Pointer[rueidis.Client]{&b.client, &b.subscriber} {
		if c := client.Swap(nil); c != nil {
			b.wg.Go((*c).Close)
		}
	}
}
