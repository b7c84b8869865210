package fakeredis

import (
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is what one command does. min and max bound its words, its name included; max 0: no bound.
type command struct {
	min, max int
	write    bool
	denyOOM  bool // a server that is full refuses it
	do       func(n *node, a []string) any
}

// allCommands returns the table of commands, by their names in capitals.
func allCommands() map[string]*command {
	all := serverCommands()
	for _, part := range []map[string]*command{hashCommands, streamCommands, groupCommands, keyCommands, textCommands, setCommands, zsetCommands} {
		maps.Copy(all, part)
	}
	return all
}

var keyCommands = map[string]*command{
	"DEL":      {2, 0, true, false, remove},
	"UNLINK":   {2, 0, true, false, remove},
	"EXISTS":   {2, 0, false, false, exists},
	"RENAME":   {3, 3, true, false, rename},
	"TYPE":     {2, 2, false, false, kindOf},
	"PEXPIRE":  {3, 4, true, false, func(n *node, a []string) any { return expire(n, a, time.Millisecond) }},
	"EXPIRE":   {3, 4, true, false, func(n *node, a []string) any { return expire(n, a, time.Second) }},
	"PERSIST":  {2, 2, true, false, persist},
	"PTTL":     {2, 2, false, false, func(n *node, a []string) any { return left(n, a[0], time.Millisecond) }},
	"TTL":      {2, 2, false, false, func(n *node, a []string) any { return left(n, a[0], time.Second) }},
	"KEYS":     {2, 2, false, false, keysLike},
	"FLUSHALL": {1, 2, true, false, flush},
	"FLUSHDB":  {1, 2, true, false, flush},
	"DBSIZE":   {1, 1, false, false, func(n *node, _ []string) any { return int64(len(n.keys)) }},
}

func remove(n *node, a []string) any {
	count := int64(0)
	for _, key := range a {
		if n.drop(key) {
			count++
		}
	}
	return count
}

func exists(n *node, a []string) any {
	count := int64(0)
	for _, key := range a {
		if n.read(key) != nil {
			count++
		}
	}
	return count
}

func rename(n *node, a []string) any {
	it := n.find(a[0])
	if it == nil {
		return failure("ERR no such key")
	}
	delete(n.keys, a[0])
	n.touch(a[0])
	n.put(a[1], it)
	return status("OK")
}

func kindOf(n *node, a []string) any {
	if it := n.read(a[0]); it != nil {
		return status(it.kind())
	}
	return status("none")
}

func expire(n *node, a []string, unit time.Duration) any {
	d, err := strconv.ParseInt(a[1], 10, 64)
	if err != nil {
		return errInt
	}
	it := n.find(a[0])
	switch {
	case it == nil:
		return int64(0)
	case d <= 0:
		n.drop(a[0])
		return int64(1)
	}
	it.expires = n.now.Add(time.Duration(min(d, math.MaxInt64/int64(unit)/2)) * unit)
	n.touch(a[0])
	return int64(1)
}

func persist(n *node, a []string) any {
	it := n.find(a[0])
	if it == nil || it.expires.IsZero() {
		return int64(0)
	}
	it.expires = time.Time{}
	n.touch(a[0])
	return int64(1)
}

func left(n *node, key string, unit time.Duration) any {
	it := n.read(key)
	switch {
	case it == nil:
		return int64(-2)
	case it.expires.IsZero():
		return int64(-1)
	}
	return int64((it.expires.Sub(n.now) + unit/2) / unit)
}

func keysLike(n *node, a []string) any {
	out := array{}
	for key := range n.keys {
		if ok, _ := path.Match(a[0], key); ok && n.find(key) != nil {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(x, y any) int { return strings.Compare(x.(string), y.(string)) })
	return out
}

func flush(n *node, _ []string) any {
	for key := range n.keys {
		n.of.replicateGone(n, key)
	}
	clear(n.keys)
	n.changed = nil
	n.invalidateAll()
	return status("OK")
}

var textCommands = map[string]*command{
	"GET":  {2, 2, false, false, get},
	"SET":  {3, 0, true, true, set},
	"INCR": {2, 2, true, true, incr},
}

func get(n *node, a []string) any {
	it := n.read(a[0])
	switch {
	case it == nil:
		return nil
	case it.text == nil:
		return errType
	}
	return *it.text
}

func set(n *node, a []string) any {
	was := n.find(a[0])
	var nx, xx, old, keep bool
	var expires time.Time
	for i := 2; i < len(a); i++ {
		switch strings.ToUpper(a[i]) {
		case "NX":
			nx = true
		case "XX":
			xx = true
		case "GET":
			old = true
		case "KEEPTTL":
			keep = true
		case "PX", "EX":
			unit := time.Millisecond
			if strings.EqualFold(a[i], "EX") {
				unit = time.Second
			}
			if i++; i == len(a) {
				return errSyntax
			}
			d, err := strconv.ParseInt(a[i], 10, 64)
			if err != nil {
				return errInt
			}
			if d <= 0 {
				return failure("ERR invalid expire time in 'set' command")
			}
			expires = n.now.Add(time.Duration(d) * unit)
		default:
			return errSyntax
		}
	}
	if nx && xx {
		return errSyntax
	}
	var before any
	if was != nil && old {
		if was.text == nil {
			return errType
		}
		before = *was.text
	}
	if nx && was != nil || xx && was == nil {
		return before
	}
	if keep && was != nil {
		expires = was.expires
	}
	n.put(a[0], &item{text: &a[1], expires: expires})
	if old {
		return before
	}
	return status("OK")
}

func incr(n *node, a []string) any {
	it, v := n.find(a[0]), int64(0)
	if it != nil {
		if it.text == nil {
			return errType
		}
		var err error
		if v, err = strconv.ParseInt(*it.text, 10, 64); err != nil {
			return errInt
		}
	} else {
		it = &item{}
	}
	text := strconv.FormatInt(v+1, 10)
	it.text = &text
	n.put(a[0], it)
	return v + 1
}

// serverCommands are those that are about no key.
func serverCommands() map[string]*command {
	return map[string]*command{
		"PING": {1, 2, false, false, func(_ *node, a []string) any {
			if len(a) > 0 {
				return a[0]
			}
			return status("PONG")
		}},
		"ECHO": {2, 2, false, false, func(_ *node, a []string) any { return a[0] }},
		"TIME": {1, 1, false, false, func(n *node, _ []string) any {
			now := n.now.UnixMicro()
			return array{strconv.FormatInt(now/1e6, 10), strconv.FormatInt(now%1e6, 10)}
		}},
		"PUBLISH": {3, 3, false, false, func(n *node, a []string) any { return n.of.publish(n, a[0], a[1]) }},
		"INFO": {1, 0, false, false, func(n *node, _ []string) any {
			role := "master"
			if n.readonly {
				role = "slave"
			}
			return "# Replication\r\nrole:" + role + "\r\n"
		}},
		"EVAL":       {3, 0, false, false, func(n *node, a []string) any { return n.eval(a[0], a[1:], false) }},
		"EVAL_RO":    {3, 0, false, false, func(n *node, a []string) any { return n.eval(a[0], a[1:], true) }},
		"EVALSHA":    {3, 0, false, false, func(n *node, a []string) any { return n.evalSHA(a[0], a[1:], false) }},
		"EVALSHA_RO": {3, 0, false, false, func(n *node, a []string) any { return n.evalSHA(a[0], a[1:], true) }},
		"SCRIPT":     {2, 0, false, false, scripts},
	}
}

func scripts(n *node, a []string) any {
	switch strings.ToUpper(a[0]) {
	case "LOAD":
		if len(a) != 2 {
			return errSyntax
		}
		return n.load(a[1])
	case "EXISTS":
		out := array{}
		for _, sha := range a[1:] {
			_, known := n.scripts[sha]
			out = append(out, int64(map[bool]int{true: 1}[known]))
		}
		return out
	case "FLUSH":
		clear(n.scripts)
		return status("OK")
	}
	return failure("ERR unknown subcommand '" + a[0] + "'. Try SCRIPT HELP.")
}
