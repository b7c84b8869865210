package fakeredis

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

var groupCommands = map[string]*command{
	"XGROUP":     {2, 0, true, true, xgroup},
	"XREADGROUP": {7, 0, true, false, xreadgroup},
	"XACK":       {4, 0, true, false, xack},
	"XCLAIM":     {6, 0, true, false, xclaim},
	"XAUTOCLAIM": {6, 0, true, false, xautoclaim},
}

// group is a stream's consumer group. Which consumer has an entry, nobody asks here.
type group struct {
	last    id
	pending map[id]time.Time // since when it is delivered
}

func (g *group) clone() *group { return &group{g.last, maps.Clone(g.pending)} }

// ids returns those that are pending from one on, in their order.
func (g *group) ids(from id) (out []id) {
	for at := range g.pending {
		if at.compare(from) >= 0 {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, id.compare)
	return out
}

// at returns an entry, if it has not been deleted.
func (s *stream) at(at id) (entry, bool) {
	i, found := slices.BinarySearchFunc(s.entries, at, func(e entry, at id) int { return e.id.compare(at) })
	if !found {
		return entry{}, false
	}
	return s.entries[i], true
}

func (e entry) reply() any { return array{e.id.String(), texts(e.fields)} }

// groupOf returns a stream's group, or the error that there is none.
func (n *node) groupOf(key, name, where string) (*stream, *group, any) {
	it := n.find(key)
	if it != nil && it.stream == nil {
		return nil, nil, errType
	}
	if it == nil || it.stream.groups[name] == nil {
		return nil, nil, failure("NOGROUP No such key '" + key + "' or consumer group '" + name + "'" + where)
	}
	return it.stream, it.stream.groups[name], nil
}

func xgroup(n *node, a []string) any {
	if !strings.EqualFold(a[0], "CREATE") || len(a) < 4 {
		return failure("ERR unknown subcommand or wrong number of arguments for '" + a[0] + "'. Try XGROUP HELP.")
	}
	make := len(a) > 4 && strings.EqualFold(a[4], "MKSTREAM")
	it := n.find(a[1])
	switch {
	case it == nil && !make:
		return failure("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.")
	case it == nil:
		it = &item{stream: &stream{}}
	case it.stream == nil:
		return errType
	}
	from, ok := it.stream.last, true
	if a[3] != "$" {
		from, ok = parseID(a[3], 0)
	}
	switch {
	case !ok:
		return errStreamID
	case it.stream.groups[a[2]] != nil:
		return failure("BUSYGROUP Consumer Group name already exists")
	case it.stream.groups == nil:
		it.stream.groups = map[string]*group{}
	}
	it.stream.groups[a[2]] = &group{from, map[id]time.Time{}}
	n.put(a[1], it)
	return status("OK")
}

// xreadgroup answers as in RESP2: scripts alone ask for it.
func xreadgroup(n *node, a []string) any {
	most := -1
	at := 3
	if strings.EqualFold(a[3], "COUNT") {
		var err error
		if most, err = strconv.Atoi(a[4]); err != nil {
			return errInt
		}
		at = 5
	}
	if !strings.EqualFold(a[0], "GROUP") || len(a) != at+3 || !strings.EqualFold(a[at], "STREAMS") || a[at+2] != ">" {
		return errSyntax
	}
	s, g, err := n.groupOf(a[at+1], a[1], " in XREADGROUP with GROUP option")
	if err != nil {
		return err
	}
	out := array{}
	for _, e := range s.entries {
		if e.id.compare(g.last) > 0 && (most <= 0 || len(out) < most) {
			g.last, g.pending[e.id] = e.id, n.now
			out = append(out, e.reply())
		}
	}
	n.touch(a[at+1])
	if len(out) == 0 {
		return nil
	}
	return array{array{a[at+1], out}}
}

func xack(n *node, a []string) any {
	_, g, err := n.groupOf(a[0], a[1], "")
	if err == errType {
		return err
	}
	acked := int64(0)
	for _, text := range a[2:] {
		at, ok := parseID(text, 0)
		if !ok {
			return errStreamID
		}
		if g != nil {
			if _, pending := g.pending[at]; pending {
				delete(g.pending, at)
				acked++
			}
		}
	}
	if acked > 0 {
		n.touch(a[0])
	}
	return acked
}

// xclaim takes ids, and behind them IDLE and JUSTID.
func xclaim(n *node, a []string) any {
	s, g, err := n.groupOf(a[0], a[1], "")
	if err != nil {
		return err
	}
	least, e := strconv.ParseInt(a[3], 10, 64)
	if e != nil {
		return failure("ERR Invalid min-idle-time argument for XCLAIM")
	}
	var ids []id
	idle, bare := int64(0), false
	for i := 4; i < len(a); i++ {
		switch {
		case strings.EqualFold(a[i], "JUSTID"):
			bare = true
		case strings.EqualFold(a[i], "IDLE") && i+1 < len(a):
			i++
			if idle, e = strconv.ParseInt(a[i], 10, 64); e != nil {
				return failure("ERR Invalid IDLE option argument for XCLAIM")
			}
		default:
			at, ok := parseID(a[i], 0)
			if !ok {
				return errStreamID
			}
			ids = append(ids, at)
		}
	}
	out := array{}
	for _, at := range ids {
		if r := n.claim(s, g, at, time.Duration(least)*time.Millisecond, time.Duration(idle)*time.Millisecond, bare); r != nil {
			out = append(out, r)
		}
	}
	n.touch(a[0])
	return out
}

// claim has an entry delivered now, or as if it had been so long ago, and returns it; or nil if it is not
// pending, or not for so long. One that was deleted is pending no more.
func (n *node) claim(s *stream, g *group, at id, least, idle time.Duration, bare bool) any {
	since, pending := g.pending[at]
	e, there := s.at(at)
	switch {
	case !pending:
		return nil
	case !there:
		delete(g.pending, at)
		return nil
	case n.now.Sub(since) < least:
		return nil
	}
	g.pending[at] = n.now.Add(-max(idle, 0))
	if bare {
		return at.String()
	}
	return e.reply()
}

func xautoclaim(n *node, a []string) any {
	s, g, err := n.groupOf(a[0], a[1], "")
	if err != nil {
		return err
	}
	least, e := strconv.ParseInt(a[3], 10, 64)
	from, ok := edge(a[4], false)
	count := 100
	switch {
	case e != nil:
		return failure("ERR Invalid min-idle-time argument for XAUTOCLAIM")
	case !ok:
		return errStreamID
	case len(a) == 7 && strings.EqualFold(a[5], "COUNT"):
		if count, e = strconv.Atoi(a[6]); e != nil || count < 1 {
			return failure("ERR COUNT must be > 0")
		}
	case len(a) != 5:
		return errSyntax
	}
	claimed, deleted, next := array{}, array{}, id{}
	tries := 10 * count
	for _, at := range g.ids(from) {
		if tries == 0 || count == 0 {
			next = at
			break
		}
		tries--
		if _, there := s.at(at); !there {
			delete(g.pending, at)
			deleted = append(deleted, at.String())
			count--
			continue
		}
		if r := n.claim(s, g, at, time.Duration(least)*time.Millisecond, 0, false); r != nil {
			claimed = append(claimed, r)
			count--
		}
	}
	n.touch(a[0])
	return array{next.String(), claimed, deleted}
}
