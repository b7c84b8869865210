package fakeredis_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/relay/broker/simulation/fakeredis"
	"setu/relay/wiretest"
)

var (
	agreeSteps = flag.Int("agree.steps", 4000, "commands that are compared with each server")
	agreeSeed  = flag.Uint64("agree.seed", 0, "their seed; 0: another each time")
)

// The double answers as the servers do for which it stands, command by command.
func TestAgreesWithServers(t *testing.T) {
	seed := *agreeSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				if os.Getenv("CI") == "true" && name == "redis-server" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			t.Logf("-agree.seed %d", seed)
			theirs := dialServer(t, name)
			double := fakeredis.New(seed)
			defer double.Close()
			conn, err := double.Dial("agree")(context.Background(), "")
			if err != nil {
				t.Fatal(err)
			}
			compare(t, newWire(theirs), newWire(conn), newChooser(t, seed))
		})
	}
}

// compare runs the same commands on both until they disagree.
func compare(t *testing.T, theirs, ours *wire, c *chooser) {
	var story []string
	for _, w := range []*wire{theirs, ours} {
		w.do("HELLO", "3")
		w.do("CLIENT", "TRACKING", "ON", "OPTIN")
		w.do("SUBSCRIBE", "base") // as a relay is to its own channel: without any, Valkey refuses UNSUBSCRIBE
	}
	for range *agreeSteps {
		args := c.next()
		story = append(story, told(args))
		want, got := mask(args, theirs.do(args...)), mask(args, ours.do(args...))
		if want != got {
			t.Fatalf("after\n%s\nthe server says %s\nthe double      %s", strings.Join(story[max(0, len(story)-12):], "\n"), want, got)
		}
		if a, b := theirs.takePushes(), ours.takePushes(); unlike.ReplaceAllString(fmt.Sprint(a), "?") != unlike.ReplaceAllString(fmt.Sprint(b), "?") {
			t.Fatalf("after\n%s\nthe server pushes %q\nthe double        %q", strings.Join(story[max(0, len(story)-12):], "\n"), a, b)
		}
	}
}

// told is a command for a reader: of a script, its first line.
func told(args []string) string {
	short := slices.Clone(args)
	for i, a := range short {
		if first, _, found := strings.Cut(a, "\n"); found {
			short[i] = first
		}
		if len(short[i]) > 60 {
			short[i] = short[i][:60] + "…"
		}
	}
	return fmt.Sprintf("%q", short)
}

// dialServer starts a server on loopback and connects to it.
func dialServer(t *testing.T, name string) net.Conn {
	t.Helper()
	address, release, err := wiretest.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(name, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		c, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatal(name, " does not answer")
	return nil
}

// wire speaks RESP, and keeps what is pushed.
type wire struct {
	conn   net.Conn
	r      *bufio.Reader
	pushes []string
}

func newWire(c net.Conn) *wire { return &wire{conn: c, r: bufio.NewReader(c)} }

// do runs a command. A PING behind it brings along what is pushed after the answer.
func (w *wire) do(args ...string) string {
	var b strings.Builder
	for _, cmd := range [][]string{args, {"PING", "fence"}} {
		fmt.Fprintf(&b, "*%d\r\n", len(cmd))
		for _, a := range cmd {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
		}
	}
	if _, err := io.WriteString(w.conn, b.String()); err != nil {
		return err.Error()
	}
	answer, err := "", error(nil)
	for {
		text, pushed, e := w.read()
		switch {
		case e != nil:
			err = e
		case pushed:
			w.pushes = append(w.pushes, text)
			continue
		case text == `"fence"`:
			return answer
		default:
			answer = text
			continue
		}
		return errors.Join(errors.New(answer), err).Error()
	}
}

func (w *wire) takePushes() []string {
	p := w.pushes
	w.pushes = nil
	return p
}

// read reads one reply, as text.
func (w *wire) read() (text string, pushed bool, err error) {
	line, err := w.r.ReadString('\n')
	if err != nil || len(line) < 3 {
		return "", false, errors.Join(err, errors.New("short"))
	}
	kind, rest := line[0], line[1:len(line)-2]
	switch kind {
	case '+', '-', ':', ',', '_', '#':
		return string(kind) + rest, false, nil
	case '$':
		n, _ := strconv.Atoi(rest)
		if n < 0 {
			return "nil", false, nil
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(w.r, b); err != nil {
			return "", false, err
		}
		return strconv.Quote(string(b[:n])), false, nil
	}
	n, _ := strconv.Atoi(rest)
	if kind == '%' {
		n *= 2
	}
	var items []string
	for range max(n, 0) {
		item, _, err := w.read()
		if err != nil {
			return "", false, err
		}
		items = append(items, item)
	}
	if kind == '~' {
		slices.Sort(items) // the order of a set is nobody's
	}
	return string(kind) + "[" + strings.Join(items, " ") + "]", kind == '>', nil
}

// What two servers can't have alike: their clocks, choices, and where a script failed.
var (
	unlike  = regexp.MustCompile(`\b1[0-9]{12}-[0-9]+|presence-[0-9a-f]{20}|\b1[0-9]{15}\b|(?:\\n|\b)1[0-9]{12}\b|\b[0-9a-f]{10}(?:[0-9a-f]{2})?\b|on @user_script:\d+\.?|script: [0-9a-f]{40},?|(Lua redis lib c|C)ommand arguments`)
	inOrder = []string{"HVALS", "HKEYS", "HGETALL", "HSCAN", "SMEMBERS", "SSCAN", "KEYS"}
	chosen  = []string{"SPOP", "SRANDMEMBER", "TIME", "PTTL", "CLIENT", "INFO", "HELLO"}
)

// mask takes that out of an answer.
func mask(args []string, answer string) string {
	name := strings.ToUpper(args[0])
	if strings.HasPrefix(answer, "-NOSCRIPT") {
		return "-NOSCRIPT" // in whatever words
	}
	if slices.Contains(chosen, name) && !strings.HasPrefix(answer, "-") {
		return "some"
	}
	timed := len(args) > 1 && (strings.HasPrefix(args[1], "-- Renews a life's lease") || strings.HasPrefix(args[1], "-- Lists relays") || strings.HasPrefix(args[1], "local at"))
	if slices.Contains(inOrder, name) || timed { // whose scores are of two clocks
		items := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(answer))
		slices.Sort(items)
		answer = strings.Join(items, " ")
	}
	return strings.TrimRight(unlike.ReplaceAllString(answer, "?"), " ,")
}

// chooser makes commands by chance.
type chooser struct {
	*rand.Rand
	scripts map[string]string
	names   []string
	queue   [][]string
	pos     int
}

func newChooser(t *testing.T, seed uint64) *chooser {
	t.Helper()
	c := &chooser{Rand: rand.New(rand.NewPCG(seed, 5)), scripts: map[string]string{}}
	files, err := filepath.Glob("../../redis/lua/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c.scripts[strings.TrimSuffix(filepath.Base(f), ".lua")] = string(text)
	}
	shared, err := os.ReadFile("../../redis/lua/shared/notices.lua")
	if err != nil {
		t.Fatal(err)
	}
	for name, others := range map[string]string{"enter": "3", "leave": "3", "take": "0", "fall": "0", "settle": "0", "resend": "0"} {
		text := strings.ReplaceAll(c.scripts[name], "--notices: ", "")
		c.scripts["noticing "+name] = "local at = " + others + "\n" + string(shared) + text
	}
	for name, with := range map[string]string{"publish": "trim", "annotate": "trim", "page": "notes", "newest": "notes", "missed": "notes"} {
		shared, err := os.ReadFile("../../redis/lua/shared/" + with + ".lua")
		if err != nil {
			t.Fatal(err)
		}
		c.scripts[name] = string(shared) + c.scripts[name]
	}
	c.scripts["annotate"] = pickTarget + c.scripts["annotate"]
	c.names = slices.Sorted(maps.Keys(c.scripts))
	return c
}

// pickTarget has an annotation be of what stands in the stream, whose digest only the server knows.
const pickTarget = `local some = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[4])
if some[1] then
  ARGV[4] = some[#some][1]
  ARGV[5] = string.match(some[#some][2][2], '^%d* %w* (%w+) ') or 'x'
end
`

func (c *chooser) of(all ...string) string { return all[c.IntN(len(all))] }
func (c *chooser) number(n int) string     { return strconv.Itoa(c.IntN(n)) }

// next is the next command: mostly of keys of the right kind, now and then of another.
func (c *chooser) next() []string {
	if len(c.queue) > 0 {
		next := c.queue[0]
		c.queue = c.queue[1:]
		return next
	}
	key := func(kind string) string {
		if c.IntN(25) == 0 {
			kind = c.of("s", "h", "x", "m", "z")
		}
		return kind + c.number(3)
	}
	field, value := "f"+c.number(5), "v"+c.number(9)
	id := func() string { return c.number(60) + "-" + c.number(4) }
	lower := func() string { return c.of("-", id(), c.number(60), "("+id(), "("+c.number(60)) }
	upper := func() string { return c.of("+", id(), c.number(60), "("+id(), "("+c.number(60)) }
	if c.IntN(3) == 0 {
		return c.script()
	}
	if c.IntN(12) == 0 {
		c.queue = append(c.queue, [][]string{
			{"GET", key("s")}, {"HGETALL", key("h")}, {"XRANGE", key("x"), "-", "+"}, {"SMEMBERS", key("m")},
		}[c.IntN(4)])
		return []string{"CLIENT", "CACHING", "YES"}
	}
	c.pos++
	all := [][]string{
		{"SET", key("s"), value}, {"SET", key("s"), value, "NX"}, {"SET", key("s"), value, "NX", "GET"}, {"SET", key("s"), value, "PX", "600000"},
		{"GET", key("s")}, {"INCR", key("s")}, {"DEL", key("s"), key("h")}, {"UNLINK", key("m")}, {"EXISTS", key("s"), key("h"), key("x")},
		{"RENAME", key("h"), key("h")}, {"TYPE", key("z")}, {"PEXPIRE", key("x"), c.of("600000", "0", "-1", "x")}, {"TTL", key("x")}, {"PERSIST", key("x")},
		{"HSET", key("h"), field, value, "g", "1"}, {"HGET", key("h"), field}, {"HMGET", key("h"), field, "g", "none"}, {"HGETALL", key("h")},
		{"HDEL", key("h"), field, "g"}, {"HLEN", key("h")}, {"HEXISTS", key("h"), field}, {"HKEYS", key("h")}, {"HVALS", key("h")}, {"HINCRBY", key("h"), c.of("n", field), c.of("1", "x")},
		{"XADD", key("x"), strconv.Itoa(c.pos/4) + "-" + c.number(9), "m", value}, {"XADD", key("x"), "MAXLEN", "=", "5", strconv.Itoa(c.pos/4) + "-" + c.number(9), "m", value},
		{"XADD", key("x"), "NOMKSTREAM", "MAXLEN", "=", "5", strconv.Itoa(c.pos/4) + "-" + c.number(9), "m", value},
		{"XADD", key("x"), c.of("0-0", "1", "bad"), "m", value}, {"XTRIM", key("x"), "MAXLEN", c.number(9)}, {"XLEN", key("x")}, {"XDEL", key("x"), id()},
		{"XRANGE", key("x"), lower(), upper(), "COUNT", c.number(6)}, {"XREVRANGE", key("x"), upper(), lower(), "COUNT", c.number(6)}, {"XRANGE", key("x"), lower(), upper()},
		{"XADD", key("t"), "*", "m", value}, {"XGROUP", "CREATE", key("x"), "g", c.of("0", "$", id()), c.of("MKSTREAM", "MKSTREAM", "mkstream")},
		{"XACK", key("x"), "g", id(), id()}, {"XCLAIM", key("x"), "g", "c", c.of("0", "600000"), id(), "IDLE", c.of("0", "700000"), "JUSTID"}, {"XCLAIM", key("x"), "g", "c", "0", id(), id()},
		{"XAUTOCLAIM", key("x"), "g", "c", c.of("0", "600000"), c.of("0-0", id()), "COUNT", c.of("1", "2", "5")}, {"XAUTOCLAIM", key("x"), "g", "c", "0", "0-0"},
		{"EVAL", "local r = redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>') return r", "1", key("x"), c.of("1", "2", "100")},
		{"HSETNX", key("h"), field, value}, {"HSCAN", key("h"), "0", "COUNT", "100"}, {"ZADD", key("z"), "NX", c.number(9), value},
		{"SADD", key("m"), value, "w"}, {"SREM", key("m"), value}, {"SCARD", key("m")}, {"SISMEMBER", key("m"), value}, {"SMEMBERS", key("m")}, {"SRANDMEMBER", key("m"), "2"},
		{"SSCAN", key("m"), "0", "COUNT", "100"},
		{"ZADD", key("z"), c.number(9), value}, {"ZREM", key("z"), value}, {"ZSCORE", key("z"), value}, {"ZCARD", key("z")},
		{"ZRANGEBYSCORE", key("z"), c.of("-inf", "3", "(3"), c.of("+inf", "7", "(7")}, {"ZRANGEBYSCORE", key("z"), "-inf", "+inf", "LIMIT", "1", "2"},
		{"SUBSCRIBE", "c" + c.number(3)}, {"UNSUBSCRIBE", "c" + c.number(3)}, {"PUBLISH", "c" + c.number(3), value},
		{"SCRIPT", "EXISTS", strings.Repeat("a", 40)}, {"EVALSHA", strings.Repeat("b", 40), "0"}, {"GET"}, {"NOSUCH", "x"}, {"PING"}, {"ECHO", value},
		{"EVAL", c.of("return 1", "return {1, 'a', {2, false, 3}}", "return redis.call('GET', KEYS[1])", "return redis.pcall('HGET', KEYS[1], 'f1')", "return 3.7", "return true", "return redis.status_reply('fine')",
			"return redis.error_reply('BAD thing')", "return {redis.call('TIME')[3], 'x'}", "local t = redis.call('HMGET', 'h0', 'f0', 'none') return tostring(t[2])"), "1", key("s")},
		{"EVAL_RO", "return redis.call('SET', KEYS[1], 'x')", "1", key("s")},
	}
	return all[c.IntN(len(all))]
}

// script runs one of Setu's own, with arguments as its relays have them or nearly so.
func (c *chooser) script() []string {
	room, user, life := "r"+c.number(3), "u"+c.number(4), "life"+c.number(3)
	head, stream, index, older := "{0}:head", "{0}:stream:"+room, "{0}:index:"+room, "{0}:older:"+room
	notes := "{0}:notes:" + room
	members, lives, set, write := "{0}:members:"+room, "{0}:lives", "{0}:life:"+life, "{0}:write:"+life
	session, owner := "{0}:session:"+user, "relay."+c.number(3)
	var keys, args []string
	name := c.of(c.names...)
	switch name {
	case "epoch":
		keys, args = []string{head}, []string{"e" + c.number(2), c.number(20), c.of("", "e0", "e1"), "1"}
	case "publish":
		keys, args = []string{head, stream, index, older, notes}, []string{c.of("e0", "e1"), room, "id" + c.number(30), strings.Repeat("b", c.IntN(3)*3000), "5", c.of("1000000", "1000000", "0"), c.of("300000", "0"), "old", "4096", c.of("0", "0", "15")}
	case "annotate":
		keys, args = []string{head, stream, index, older, notes}, []string{c.of("e0", "e1"), room, c.of("0", "0", "15"), c.of("1", "2", "5"), "x", c.of("r", "r", "r", "e", "d"), c.of("+", "- -"), c.of("", "", "1"),
			"mark-of-us-" + c.number(3), "mark-of-ed-" + c.number(9), strings.Repeat("b", c.IntN(3)*100), "about", c.of("5", "1"), "1000000", "300000", c.of("2", "100"), c.of("1", "20"), c.of("1", "1", "")}
	case "missed":
		keys, args = []string{head, stream, "{0}:stream:r0", "{0}:stream:r1"}, []string{c.of("1", "100", "100000"), c.number(20) + "-" + c.number(5), "0-0", c.number(30) + "-1"}
	case "newest":
		keys, args = []string{head, stream, index, notes, "{0}:stream:r1", "{0}:index:r1", "{0}:notes:r1"}, []string{c.of("1", "100000"), c.of("1", "100000"), c.of("2", "100")}
	case "page":
		keys, args = []string{stream, notes}[:1+c.IntN(2)], []string{c.of("+", c.number(20)+"-2", "("+c.number(20)+"-2"), c.of("2", "20"), c.of("10", "100000")}
	case "vouch":
		keys, args = []string{stream, "{0}:stream:r0"}, []string{c.number(20), c.number(4), "0123456789ab"}
	case "probe":
		keys, args = []string{head, "{0}:probe"}, []string{"c0", c.number(9)}
	case "enter":
		keys, args = []string{lives, set, write, members, "{0}:members:r0"}, []string{life, "100000", c.number(9)}
		for i := range 1 + c.IntN(2) {
			args = append(args, strconv.Itoa(i+1), "c1", []string{room, "r0"}[i], user, `{"id":"`+user+`","name":"n`+c.number(2)+`"}`, c.of("0", "1"))
		}
	case "leave":
		keys, args = []string{lives, set, write, members}, []string{life, c.of("", c.number(9)), "100000", "1", "c1", room, user}
	case "lease":
		keys, args = []string{lives, set, write, head, "{0}:noted"}, []string{life, c.of("100000", "-5"), c.of("0", "1"), "100000", c.of("", "3-0123456789ab")}
	case "revoke", "revoked", "noted", "holds":
		keys, args = c.revocations(name, user, life)
	case "command":
		keys, args = []string{lives}, []string{"c1", "c0 " + c.number(9) + " text"}
	case "members":
		keys, args = []string{members}, []string{c.of("1", "100")}
	case "announce":
		keys, args = []string{"{0}:peer:" + user, "{0}:relays"}, []string{"{}", user + " {}", "100000", c.of("0", "1"), "100000"}
	case "others":
		keys, args = []string{"{0}:relays"}, []string{"32"}
	case "save":
		keys, args = []string{session}, []string{owner, c.of("0", "100000"), c.number(9), "{}", "- e0.1.1.aa r0\x00", ""}
		args = args[:c.of("36", "63")[0]-'0']
	case "touch":
		keys, args = []string{session, "{0}:session:u1"}, []string{"100000", owner, c.number(9), owner, c.number(9)}
	case "resume":
		keys, args = []string{session, head}, []string{owner, "100000", c.of("e0", "e1"), c.number(20), "c", c.of("", "relay.1")}
	case "noticing enter", "noticing leave", "noticing take", "noticing fall", "noticing resend", "noticing settle":
		keys, args = c.notices(name, room, user, life)
	default:
		return []string{"PING"}
	}
	call := []string{"EVAL", c.scripts[name], strconv.Itoa(len(keys))}
	return append(append(call, keys...), args...)
}

// revocations is a call of a script about them.
func (c *chooser) revocations(name, user, life string) (keys, args []string) {
	head, revoked, log, lives, noted := "{0}:head", "{0}:revoked", "{0}:revoked:log", "{0}:lives", "{0}:noted"
	switch name {
	case "revoke":
		keys, args = []string{head, revoked, log, "{0}:revoked:ends"}, []string{"c1", c.of("2", "100"), c.of("1", "0")}
		for range c.IntN(3) {
			args = append(args, c.of("u", "t", "m")+user, c.of("0", "5", "9"), c.of("4000000000000", "4000000000005", "1000"), c.of("0", "1"))
		}
	case "revoked":
		keys, args = []string{head, revoked, log}, []string{c.number(20), c.of("", "0123456789ab"), c.of("0", "100000")}
	case "noted":
		keys, args = []string{head, revoked, log, lives, noted}, []string{life, c.number(20), c.of("", "0123456789ab"), "100000"}
	default:
		keys, args = []string{lives, noted}, []string{c.number(20)}
	}
	return keys, args
}

// notices is a call of a script that writes them.
func (c *chooser) notices(name, room, user, life string) (keys, args []string) {
	theirs := []string{"{0}:notices", "{0}:notices:told", "{0}:notices:left", "{0}:notices:waiting", "{0}:notices:turns", "{0}:notices:dead"}
	members := "{0}:members:" + room
	change := append([]string{"{0}:lives", "{0}:life:" + life, "{0}:write:" + life}, theirs...)
	switch name {
	case "noticing enter":
		return append(change, members), []string{life, "100000", c.number(9), "7", "c1", room, user, `{"id":"` + user + `","name":"n` + c.number(2) + `"}`, c.of("0", "1"), c.of("r1", "r9"), "7"}
	case "noticing leave":
		return append(change, members), []string{life, c.of("", c.number(9)), "7", "c1", room, user, c.of("", "{}"), c.of("r1", "r9")}
	case "noticing take":
		return theirs, []string{c.of("1", "100"), c.of("0", "600000"), "0-0", c.of("0", "700000"), c.of("0", "1")}
	case "noticing fall":
		return append(theirs, members), []string{c.of("0", "600000"), "7", "r" + room, "4", "", "u" + user, "4", user}
	case "noticing settle":
		return theirs, []string{"0-1", c.of("r"+room, "u"+user), "7", c.of("", "why")}
	}
	return theirs, []string{"0-1"}
}
