package fakeredis

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

var hashCommands = map[string]*command{
	"HSET": {4, 0, true, true, hset}, "HGET": {3, 3, false, false, hget}, "HMGET": {3, 0, false, false, hmget},
	"HGETALL": {2, 2, false, false, hgetall}, "HDEL": {3, 0, true, false, hdel},
	"HLEN":    {2, 2, false, false, hashed(func(h *hash, _ []string) any { return int64(len(h.values)) }, int64(0))},
	"HEXISTS": {3, 3, false, false, hashed(func(h *hash, a []string) any { _, ok := h.values[a[0]]; return truth(ok) }, int64(0))},
	"HKEYS":   {2, 2, false, false, hashed(func(h *hash, _ []string) any { return texts(h.order) }, array{})},
	"HVALS": {2, 2, false, false, hashed(func(h *hash, _ []string) any {
		out := array{}
		for _, f := range h.order {
			out = append(out, h.values[f])
		}
		return out
	}, array{})},
	"HINCRBY": {4, 4, true, true, hincrby},
	"HSETNX":  {4, 4, true, true, hsetnx},
	"HSCAN":   {3, 0, false, false, hashed(func(h *hash, _ []string) any { return array{"0", h.pairs()} }, array{"0", array{}})},
}

func truth(ok bool) int64 {
	if ok {
		return 1
	}
	return 0
}

func texts(all []string) array {
	out := make(array, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

// hashed makes a command that reads a hash; none is its answer if there is no such key.
func hashed(do func(h *hash, a []string) any, none any) func(n *node, a []string) any {
	return func(n *node, a []string) any {
		it := n.read(a[0])
		switch {
		case it == nil:
			return none
		case it.hash == nil:
			return errType
		}
		return do(it.hash, a[1:])
	}
}

// hashAt returns a key's hash to write to.
func (n *node) hashAt(key string) *hash {
	it := n.find(key)
	if it == nil {
		it = &item{hash: newHash()}
		n.keys[key] = it
	}
	return it.hash
}

func hset(n *node, a []string) any {
	if len(a)%2 == 0 {
		return failure("ERR wrong number of arguments for 'hset' command")
	}
	h := n.hashAt(a[0])
	if h == nil {
		return errType
	}
	count := int64(0)
	for i := 1; i < len(a); i += 2 {
		count += truth(h.put(a[i], a[i+1]))
	}
	n.touch(a[0])
	return count
}

func hsetnx(n *node, a []string) any {
	h := n.hashAt(a[0])
	if h == nil {
		return errType
	}
	if _, had := h.values[a[1]]; had {
		return int64(0)
	}
	h.put(a[1], a[2])
	n.touch(a[0])
	return int64(1)
}

// pairs are the fields, each with its value behind it.
func (h *hash) pairs() array {
	out := array{}
	for _, f := range h.order {
		out = append(out, f, h.values[f])
	}
	return out
}

func hget(n *node, a []string) any {
	return hashed(func(h *hash, a []string) any { return h.value(a[0]) }, nil)(n, a)
}

func (h *hash) value(field string) any {
	if v, ok := h.values[field]; ok {
		return v
	}
	return nil
}

func hmget(n *node, a []string) any {
	it := n.read(a[0])
	if it != nil && it.hash == nil {
		return errType
	}
	out := make(array, len(a)-1)
	for i, field := range a[1:] {
		if it != nil {
			out[i] = it.hash.value(field)
		}
	}
	return out
}

func hgetall(n *node, a []string) any {
	return hashed(func(h *hash, _ []string) any { return mapping(h.pairs()) }, mapping{})(n, a)
}

func hdel(n *node, a []string) any {
	it := n.find(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.hash == nil:
		return errType
	}
	count := int64(0)
	for _, f := range a[1:] {
		count += truth(it.hash.remove(f))
	}
	if count > 0 {
		n.touch(a[0])
	}
	n.vanish(a[0], it)
	return count
}

// vanish drops a key of which nothing is left, in the middle of a script, too.
func (n *node) vanish(key string, it *item) {
	if it.isEmpty() {
		delete(n.keys, key)
	}
}

func hincrby(n *node, a []string) any {
	by, err := strconv.ParseInt(a[2], 10, 64)
	if err != nil {
		return errInt
	}
	h := n.hashAt(a[0])
	if h == nil {
		return errType
	}
	v, err := strconv.ParseInt(h.values[a[1]], 10, 64)
	if _, had := h.values[a[1]]; had && err != nil {
		return failure("ERR hash value is not an integer")
	}
	h.put(a[1], strconv.FormatInt(v+by, 10))
	n.touch(a[0])
	return v + by
}

var setCommands = map[string]*command{
	"SADD": {3, 0, true, true, sadd}, "SREM": {3, 0, true, false, srem}, "SPOP": {2, 3, true, false, spop},
	"SCARD":       {2, 2, false, false, inSet(func(s map[string]bool, _ []string) any { return int64(len(s)) }, int64(0))},
	"SISMEMBER":   {3, 3, false, false, inSet(func(s map[string]bool, a []string) any { return truth(s[a[0]]) }, int64(0))},
	"SMEMBERS":    {2, 2, false, false, inSet(func(s map[string]bool, _ []string) any { return elements(texts(names(s))) }, elements{})},
	"SRANDMEMBER": {2, 3, false, false, srandmember},
	"SSCAN": {3, 0, false, false, inSet(func(s map[string]bool, _ []string) any {
		return array{"0", texts(names(s))} // Redis may return all at once, too
	}, array{"0", array{}})},
}

func inSet(do func(s map[string]bool, a []string) any, none any) func(n *node, a []string) any {
	return func(n *node, a []string) any {
		it := n.read(a[0])
		switch {
		case it == nil:
			return none
		case it.set == nil:
			return errType
		}
		return do(it.set, a[1:])
	}
}

func sadd(n *node, a []string) any {
	it := n.find(a[0])
	if it == nil {
		it = &item{set: map[string]bool{}}
		n.keys[a[0]] = it
	}
	if it.set == nil {
		return errType
	}
	was := len(it.set)
	for _, m := range a[1:] {
		it.set[m] = true
	}
	if len(it.set) > was {
		n.touch(a[0])
	}
	return int64(len(it.set) - was)
}

func srem(n *node, a []string) any {
	it := n.find(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.set == nil:
		return errType
	}
	was := len(it.set)
	for _, m := range a[1:] {
		delete(it.set, m)
	}
	if len(it.set) < was {
		n.touch(a[0])
	}
	gone := int64(was - len(it.set))
	n.vanish(a[0], it)
	return gone
}

// some returns count members of a set, each once, by chance.
func (n *node) some(s map[string]bool, count int) []string {
	all := names(s)
	n.chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(count, len(all))]
}

func spop(n *node, a []string) any {
	it := n.find(a[0])
	switch {
	case it == nil && len(a) == 1:
		return nil
	case it == nil:
		return elements{}
	case it.set == nil:
		return errType
	}
	count := 1
	if len(a) == 2 {
		var err error
		if count, err = strconv.Atoi(a[1]); err != nil || count < 0 {
			return failure("ERR value is out of range, must be positive")
		}
	}
	out := n.some(it.set, count)
	for _, m := range out {
		delete(it.set, m)
	}
	if len(out) > 0 {
		n.touch(a[0])
	}
	n.vanish(a[0], it)
	if len(a) == 1 {
		return out[0]
	}
	return elements(texts(out))
}

func srandmember(n *node, a []string) any {
	it := n.read(a[0])
	switch {
	case it == nil && len(a) == 1:
		return nil
	case it == nil:
		return array{}
	case it.set == nil:
		return errType
	case len(a) == 1:
		return n.some(it.set, 1)[0]
	}
	count, err := strconv.Atoi(a[1])
	if err != nil {
		return errInt
	}
	return texts(n.some(it.set, count))
}

var zsetCommands = map[string]*command{
	"ZADD": {4, 0, true, true, zadd}, "ZREM": {3, 0, true, false, zrem}, "ZSCORE": {3, 3, false, false, zscore},
	"ZCARD":         {2, 2, false, false, zcard},
	"ZRANGEBYSCORE": {4, 0, false, false, zrangebyscore},
}

func zadd(n *node, a []string) any {
	fresh := strings.EqualFold(a[1], "NX")
	if fresh {
		a = append([]string{a[0]}, a[2:]...)
	}
	if len(a)%2 == 0 || len(a) < 3 {
		return errSyntax
	}
	var scores []float64
	for i := 1; i < len(a); i += 2 {
		f, err := strconv.ParseFloat(a[i], 64)
		if err != nil {
			return failure("ERR value is not a valid float")
		}
		scores = append(scores, f)
	}
	it := n.find(a[0])
	if it == nil {
		it = &item{zset: map[string]float64{}}
		n.keys[a[0]] = it
	}
	if it.zset == nil {
		return errType
	}
	added := int64(0)
	for i, f := range scores {
		was, had := it.zset[a[2*i+2]]
		if !had {
			added++
		} else if fresh {
			continue
		}
		if it.zset[a[2*i+2]] = f; !had || was != f {
			n.touch(a[0])
		}
	}
	return added
}

func zrem(n *node, a []string) any {
	it := n.find(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.zset == nil:
		return errType
	}
	was := len(it.zset)
	for _, m := range a[1:] {
		delete(it.zset, m)
	}
	if len(it.zset) < was {
		n.touch(a[0])
	}
	gone := int64(was - len(it.zset))
	n.vanish(a[0], it)
	return gone
}

func zscore(n *node, a []string) any {
	it := n.read(a[0])
	switch {
	case it == nil:
		return nil
	case it.zset == nil:
		return errType
	}
	if f, ok := it.zset[a[1]]; ok {
		return double(f)
	}
	return nil
}

func zcard(n *node, a []string) any {
	it := n.read(a[0])
	switch {
	case it == nil:
		return int64(0)
	case it.zset == nil:
		return errType
	}
	return int64(len(it.zset))
}

// bound reads a bound of scores, "(" before it leaves itself out.
func bound(text string) (f float64, exclusive, ok bool) {
	text, exclusive = strings.CutPrefix(text, "(")
	switch text {
	case "-inf":
		return math.Inf(-1), exclusive, true
	case "+inf", "inf":
		return math.Inf(1), exclusive, true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, exclusive, err == nil
}

func zrangebyscore(n *node, a []string) any {
	from, fromOut, ok1 := bound(a[1])
	to, toOut, ok2 := bound(a[2])
	if !ok1 || !ok2 {
		return failure("ERR min or max is not a float")
	}
	skip, most := 0, -1
	if len(a) > 3 {
		if len(a) != 6 || !strings.EqualFold(a[3], "LIMIT") {
			return errSyntax
		}
		var err1, err2 error
		skip, err1 = strconv.Atoi(a[4])
		most, err2 = strconv.Atoi(a[5])
		if err1 != nil || err2 != nil {
			return errInt
		}
	}
	it := n.read(a[0])
	switch {
	case it == nil:
		return array{}
	case it.zset == nil:
		return errType
	}
	out := slices.DeleteFunc(sorted(it.zset), func(m string) bool {
		f := it.zset[m]
		return f < from || f > to || fromOut && f == from || toOut && f == to
	})
	out = out[min(max(skip, 0), len(out)):]
	if most >= 0 {
		out = out[:min(most, len(out))]
	}
	return texts(out)
}
