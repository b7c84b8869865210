package fakeredis

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// item is one key's value: one of these is set.
type item struct {
	text    *string
	hash    *hash
	stream  *stream
	set     map[string]bool
	zset    map[string]float64
	expires time.Time // zero: never
}

func (it *item) kind() string {
	switch {
	case it.text != nil:
		return "string"
	case it.hash != nil:
		return "hash"
	case it.stream != nil:
		return "stream"
	case it.set != nil:
		return "set"
	}
	return "zset"
}

func (it *item) clone() *item {
	c := *it
	switch {
	case it.text != nil:
		text := *it.text
		c.text = &text
	case it.hash != nil:
		c.hash = it.hash.clone()
	case it.stream != nil:
		s := *it.stream
		s.entries, s.groups = slices.Clone(s.entries), maps.Clone(s.groups)
		for name, g := range s.groups {
			s.groups[name] = g.clone()
		}
		c.stream = &s
	case it.set != nil:
		c.set = maps.Clone(it.set)
	default:
		c.zset = maps.Clone(it.zset)
	}
	return &c
}

// isEmpty reports whether nothing is left, so that Redis drops the key. A stream stays.
func (it *item) isEmpty() bool {
	return it.hash != nil && len(it.hash.values) == 0 || it.text == nil && it.hash == nil && it.stream == nil && len(it.set)+len(it.zset) == 0
}

// hash keeps its fields in the order of their coming, so that a run repeats.
type hash struct {
	values map[string]string
	order  []string
}

func newHash() *hash { return &hash{values: map[string]string{}} }

func (h *hash) clone() *hash { return &hash{maps.Clone(h.values), slices.Clone(h.order)} }

func (h *hash) put(field, value string) (isNew bool) {
	if _, had := h.values[field]; !had {
		h.order = append(h.order, field)
		isNew = true
	}
	h.values[field] = value
	return isNew
}

func (h *hash) remove(field string) bool {
	if _, had := h.values[field]; !had {
		return false
	}
	delete(h.values, field)
	h.order = slices.DeleteFunc(h.order, func(f string) bool { return f == field })
	return true
}

// stream is a log of entries by rising id.
type stream struct {
	entries []entry
	last    id
	groups  map[string]*group
}

type entry struct {
	id     id
	fields []string
}

// id is a stream entry's: milliseconds, or what stands for them, and a sequence.
type id struct{ ms, seq uint64 }

func (a id) compare(b id) int { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.seq, b.seq)) }

func (a id) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

// parseID reads an id; seq is what stands for a sequence that is left out.
func parseID(text string, seq uint64) (id, bool) {
	ms, rest, found := strings.Cut(text, "-")
	m, err := strconv.ParseUint(ms, 10, 64)
	if err != nil {
		return id{}, false
	}
	if found {
		if seq, err = strconv.ParseUint(rest, 10, 64); err != nil {
			return id{}, false
		}
	}
	return id{m, seq}, true
}

// sorted returns the members of a sorted set by score, then name.
func sorted(z map[string]float64) []string {
	names := slices.Collect(maps.Keys(z))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(z[a], z[b]), cmp.Compare(a, b)) })
	return names
}

// names returns the members of a set in one order.
func names(set map[string]bool) []string {
	out := slices.Collect(maps.Keys(set))
	slices.Sort(out)
	return out
}
