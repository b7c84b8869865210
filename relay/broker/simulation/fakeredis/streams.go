package fakeredis

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

var streamCommands = map[string]*command{
	"XADD":      {5, 0, true, true, xadd},
	"XTRIM":     {4, 0, true, false, xtrim},
	"XLEN":      {2, 2, false, false, xlen},
	"XDEL":      {3, 0, true, false, xdel},
	"XRANGE":    {4, 6, false, false, func(n *node, a []string) any { return xrange(n, a, false) }},
	"XREVRANGE": {4, 6, false, false, func(n *node, a []string) any { return xrange(n, a, true) }},
}

const errStreamID = failure("ERR Invalid stream ID specified as stream command argument")

// maxlen reads MAXLEN [=|~] count at the beginning of a.
func maxlen(a []string) (limit int, rest []string, err any) {
	limit = -1
	if !strings.EqualFold(a[0], "MAXLEN") {
		return limit, a, nil
	}
	a = a[1:]
	if len(a) > 0 && (a[0] == "=" || a[0] == "~") {
		a = a[1:]
	}
	if len(a) == 0 {
		return limit, nil, errSyntax
	}
	n, e := strconv.Atoi(a[0])
	if e != nil {
		return limit, nil, errInt
	}
	if n < 0 {
		return limit, nil, failure("ERR The MAXLEN argument must be >= 0.")
	}
	return n, a[1:], nil
}

func xadd(n *node, a []string) any {
	args, mayMake := a[1:], !strings.EqualFold(a[1], "NOMKSTREAM")
	if !mayMake {
		args = args[1:]
	}
	limit, rest, err := maxlen(args)
	switch {
	case err != nil:
		return err
	case len(rest) < 3 || len(rest)%2 == 0:
		return failure("ERR wrong number of arguments for 'xadd' command")
	}
	at, ok := parseID(rest[0], 0)
	if !ok && rest[0] != "*" {
		return errStreamID
	}
	if ok && at == (id{}) {
		return failure("ERR The ID specified in XADD must be greater than 0-0")
	}
	it := n.find(a[0])
	switch {
	case it == nil && !mayMake:
		return nil
	case it == nil:
		it = &item{stream: &stream{}}
	case it.stream == nil:
		return errType
	}
	s := it.stream
	if !ok {
		at = s.nextID(n)
	}
	if at.compare(s.last) <= 0 {
		return failure("ERR The ID specified in XADD is equal or smaller than the target stream top item")
	}
	s.entries, s.last = append(s.entries, entry{at, rest[1:]}), at
	if limit >= 0 {
		s.trim(limit)
	}
	n.put(a[0], it)
	return at.String()
}

// nextID is what Redis makes up.
func (s *stream) nextID(n *node) id {
	if at := (id{uint64(n.now.UnixMilli()), 0}); at.compare(s.last) > 0 {
		return at
	}
	return id{s.last.ms, s.last.seq + 1}
}

func (s *stream) trim(limit int) int {
	over := max(len(s.entries)-limit, 0)
	s.entries = slices.Clone(s.entries[over:])
	return over
}

func xtrim(n *node, a []string) any {
	limit, rest, err := maxlen(a[1:])
	if err != nil {
		return err
	}
	if limit < 0 || len(rest) > 0 {
		return errSyntax
	}
	it := n.find(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.stream == nil:
		return errType
	}
	gone := it.stream.trim(limit)
	if gone > 0 {
		n.touch(a[0])
	}
	return int64(gone)
}

func xlen(n *node, a []string) any {
	it := n.read(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.stream == nil:
		return errType
	}
	return int64(len(it.stream.entries))
}

func xdel(n *node, a []string) any {
	it := n.find(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.stream == nil:
		return errType
	}
	was := len(it.stream.entries)
	for _, text := range a[1:] {
		at, ok := parseID(text, 0)
		if !ok {
			return errStreamID
		}
		it.stream.entries = slices.DeleteFunc(it.stream.entries, func(e entry) bool { return e.id == at })
	}
	if len(it.stream.entries) < was {
		n.touch(a[0])
	}
	return int64(was - len(it.stream.entries))
}

// edge reads a bound of a range of ids. upper says that it is the upper one.
func edge(text string, upper bool) (at id, ok bool) {
	switch text {
	case "-":
		return id{}, true
	case "+":
		return id{math.MaxUint64, math.MaxUint64}, true
	}
	text, exclusive := strings.CutPrefix(text, "(")
	seq := uint64(0)
	if upper {
		seq = math.MaxUint64
	}
	at, ok = parseID(text, seq)
	if !ok || !exclusive {
		return at, ok
	}
	switch {
	case upper && at.seq > 0:
		at.seq--
	case upper && at.ms > 0:
		at = id{at.ms - 1, math.MaxUint64}
	case upper:
		return at, false
	case at.seq < math.MaxUint64:
		at.seq++
	case at.ms < math.MaxUint64:
		at = id{at.ms + 1, 0}
	default:
		return at, false
	}
	return at, true
}

func xrange(n *node, a []string, backwards bool) any {
	lower, upper := a[1], a[2]
	if backwards {
		lower, upper = upper, lower
	}
	from, ok1 := edge(lower, false)
	to, ok2 := edge(upper, true)
	switch {
	case !ok1 && from == (id{math.MaxUint64, math.MaxUint64}):
		return failure("ERR invalid start ID for the interval")
	case !ok2 && to == (id{}) && strings.HasPrefix(upper, "("):
		return failure("ERR invalid end ID for the interval")
	case !ok1 || !ok2:
		return errStreamID
	}
	most := -1
	switch {
	case len(a) == 5 && strings.EqualFold(a[3], "COUNT"):
		var err error
		if most, err = strconv.Atoi(a[4]); err != nil {
			return errInt
		}
		most = max(most, 0)
	case len(a) != 3:
		return errSyntax
	}
	it := n.read(a[0])
	switch {
	case it == nil:
		return array{}
	case it.stream == nil:
		return errType
	case most == 0:
		return nil
	}
	all := it.stream.entries
	first, _ := slices.BinarySearchFunc(all, from, func(e entry, at id) int { return e.id.compare(at) })
	last := first
	for last < len(all) && all[last].id.compare(to) <= 0 {
		last++
	}
	some := all[first:last]
	out := array{}
	for i := range some {
		if most > 0 && i == most {
			break
		}
		e := some[i]
		if backwards {
			e = some[len(some)-1-i]
		}
		out = append(out, array{e.id.String(), texts(e.fields)})
	}
	return out
}
