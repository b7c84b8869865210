package redis

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

//go:embed lua
var lua embed.FS

var (
	publishScript  = loadWith("publish", false, "trim")
	annotateScript = loadWith("annotate", false, "trim")
	enterScript    = load("enter", false)
	leaveScript    = load("leave", false)
	leaseScript    = load("lease", false)
	announceScript = load("announce", false)
	epochScript    = load("epoch", false)
	probeScript    = load("probe", false)
	saveScript     = load("save", false)
	touchScript    = load("touch", false)
	resumeScript   = load("resume", false)
	revokeScript   = load("revoke", false)
	notedScript    = load("noted", false)
	commandScript  = load("command", false)
	vouchScript    = load("vouch", true)
	pageScript     = loadWith("page", true, "notes")
	newestScript   = loadWith("newest", true, "notes")
	missedScript   = loadWith("missed", true, "notes")
	membersScript  = load("members", true)
	currentScript  = load("current", true)
	othersScript   = load("others", true)
	revokedScript  = load("revoked", true)
	holdsScript    = load("holds", true)

	// Of those that change presence, what writes notices as well.
	enterNoticing = loadNoticing("enter", 3)
	leaveNoticing = loadNoticing("leave", 3)
	fallScript    = loadNoticing("fall", 0)
	takeScript    = loadNoticing("take", 0)
	settleScript  = loadNoticing("settle", 0)
	resendScript  = loadNoticing("resend", 0)
)

// script is a Lua script, run by its hash. All of them may be repeated without harm, so rueidis may
// try again.
type script struct {
	text, sha string
	readonly  bool // cacheable, too
}

func load(name string, readonly bool) script { return newScript(readText(name), readonly) }

// loadWith loads a script behind what it shares with others.
func loadWith(name string, readonly bool, shared string) script {
	return newScript(readText("shared/"+shared)+readText(name), readonly)
}

func newScript(text string, readonly bool) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:]), readonly}
}

func readText(name string) string {
	text, err := lua.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // a script that is not in the binary: any test finds it
	}
	return string(text)
}

// loadNoticing loads a script that writes notices, whose keys come behind so many others. Lines that are
// for that are comments in a script that is run without, too, so that it costs nothing there.
func loadNoticing(name string, others int) script {
	text := strings.ReplaceAll(readText(name), "--notices: ", "")
	return newScript("local at = "+strconv.Itoa(others)+"\n"+readText("shared/notices")+text, false)
}

// call is one run of a script.
type call struct{ keys, args []string }

// build makes the command. Every command that may be tried again is pinned, here and below: rueidis
// would use its memory for another command once it was answered, and the writer of the connection
// that died may still be reading it.
func (s script) build(c rueidis.CoreClient, do call) rueidis.Completed {
	n := int64(len(do.keys))
	if s.readonly {
		return c.B().EvalshaRo().Sha1(s.sha).Numkeys(n).Key(do.keys...).Arg(do.args...).Build().Pin()
	}
	return c.B().Evalsha().Sha1(s.sha).Numkeys(n).Key(do.keys...).Arg(do.args...).Build().ToRetryable().Pin()
}

// run runs s for each of calls, in one trip; in three if Redis had forgotten the script.
func (s script) run(ctx context.Context, c rueidis.CoreClient, calls ...call) []rueidis.RedisResult {
	results := s.try(ctx, c, calls)
	var again []int
	for i, r := range results {
		if isNoScript(r.Error()) {
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return results
	}
	if err := s.teach(ctx, c); err != nil {
		return results
	}
	retry := make([]call, len(again))
	for i, at := range again {
		retry[i] = calls[at]
	}
	for i, r := range s.try(ctx, c, retry) {
		results[again[i]] = r
	}
	return results
}

// inOrder is run for when the order matters: the first call brings the script's text along.
// Otherwise, with a Redis that had forgotten the script and is taught it by another relay just
// then, later calls could overtake the earlier ones.
func (s script) inOrder(ctx context.Context, c rueidis.CoreClient, calls ...call) []rueidis.RedisResult {
	if len(calls) == 1 {
		return s.run(ctx, c, calls...)
	}
	cmds := make(rueidis.Commands, len(calls))
	for i, do := range calls {
		cmds[i] = s.build(c, do)
	}
	first := calls[0]
	cmds[0] = c.B().Eval().Script(s.text).Numkeys(int64(len(first.keys))).Key(first.keys...).Arg(first.args...).Build().ToRetryable().Pin()
	return c.DoMulti(ctx, cmds...)
}

func (s script) try(ctx context.Context, c rueidis.CoreClient, calls []call) []rueidis.RedisResult {
	if len(calls) == 1 {
		return []rueidis.RedisResult{c.Do(ctx, s.build(c, calls[0]))}
	}
	cmds := make(rueidis.Commands, len(calls))
	for i, do := range calls {
		cmds[i] = s.build(c, do)
	}
	return c.DoMulti(ctx, cmds...)
}

// cached runs a read-only script that names one key, answered from the client-side cache if that
// is still valid.
//
// ToStaticTTL spares the MULTI around the read, in which rueidis would also cache a NOSCRIPT for an
// answer. Redis invalidates keys that expire like those that are written, so a time to live of the
// server's is not needed.
func (s script) cached(ctx context.Context, c rueidis.Client, do call) rueidis.RedisResult {
	read := func() rueidis.RedisResult {
		cmd := c.B().EvalshaRo().Sha1(s.sha).Numkeys(1).Key(do.keys...).Arg(do.args...).Cache().ToStaticTTL().Pin()
		return c.DoCache(ctx, cmd, cacheTTL)
	}
	r := read()
	switch err := r.Error(); {
	case isNoScript(err) && s.teach(ctx, c) == nil:
		return read()
	case errors.Is(err, rueidis.ErrDoCacheAborted): // the connection went away while another reader waited for the same
		return read()
	}
	return r
}

func (s script) teach(ctx context.Context, c rueidis.CoreClient) error {
	return c.Do(ctx, c.B().ScriptLoad().Script(s.text).Build().ToRetryable().Pin()).Error()
}

func isNoScript(err error) bool {
	e, ok := rueidis.IsRedisErr(err)
	return ok && e.IsNoScript()
}
