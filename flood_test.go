//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay"
	"setu/relay/wiretest"
)

var (
	flooders = flag.Int("flooders", 3, "clients that flood at a time, in TestFloods")
	floodFor = flag.Duration("flood", 250*time.Millisecond, "for each kind, in TestFloods")
	runs     = flag.Int("runs", 1, "of each flood, in TestFloods: the least of them is told, since whatever else the machine does only adds")
	apart    = flag.String("apart", "", "the processors on which the flooders run, in TestFloods, as taskset takes them; empty: where nothing else wants to")
	kinds    = flag.String("kinds", "", "a part of the names of those floods that are to come, in TestFloods; empty: all")
)

// flood is one kind of what is cheap to send and dear to take.
type flood struct {
	name string
	run  func(f *flooder)
}

// flooder is one client that floods, and what became of it.
type flooder struct {
	address string
	dialer  net.Dialer
	until   time.Time

	began time.Time
	outcome
}

// outcome is what became of flooders.
type outcome struct {
	Sent    int
	Refused int // what they were told was rate_limited
	Turned  int // connections that were refused or cut before they were open
	Closed  int // connections that were closed for excess, or for an error
	Codes   map[string]int
	First   time.Duration // until the first of those
}

// add sums up.
func (o *outcome) add(of outcome) {
	o.Sent += of.Sent
	o.Refused += of.Refused
	o.Turned += of.Turned
	o.Closed += of.Closed
	for how, n := range of.Codes {
		o.Codes[how] += n
	}
	if of.Closed > 0 && (o.First == 0 || of.First < o.First) {
		o.First = of.First
	}
}

func (f *flooder) isOver() bool { return !time.Now().Before(f.until) }

func (f *flooder) dial() net.Conn {
	for !f.isOver() {
		c, err := f.dialer.Dial("tcp", f.address)
		if err == nil {
			_ = c.SetDeadline(f.until.Add(100 * time.Millisecond))
			return c
		}
		f.Turned++
		<-time.After(10 * time.Millisecond)
	}
	return nil
}

// noteClosed notes the end of a connection that the relay has ended.
func (f *flooder) noteClosed(how string) {
	if !f.isOver() {
		f.count(how)
	}
}

func (f *flooder) count(how string) {
	if f.Closed++; f.Closed == 1 {
		f.First = time.Since(f.began)
	}
	f.Codes[how]++
}

// open opens a WebSocket, and says hello. It returns nil if it was refused.
func (f *flooder) open(hello string) (net.Conn, *bufio.Reader) {
	c := f.dial()
	if c == nil {
		return nil, nil
	}
	fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: relay\r\n%s\r\n", wiretest.HandshakeHeader)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		f.Turned++
		_ = c.Close()
		<-time.After(20 * time.Millisecond)
		return nil, nil
	}
	if hello != "" {
		_, _ = c.Write(text(hello))
	}
	return c, r
}

func text(s string) []byte { return wiretest.ClientFrame(0x81, []byte(s)) }

// frames floods with frames, over connections that come back when they are closed.
func frames(hello string, next func(i int) []byte) func(f *flooder) {
	return func(f *flooder) {
		for !f.isOver() {
			c, r := f.open(hello)
			if c == nil {
				continue
			}
			var read sync.WaitGroup
			read.Go(func() { f.read(r) })
			for i := 0; ; i++ {
				if _, err := c.Write(next(i)); err != nil || f.isOver() {
					break
				}
				f.Sent++
			}
			if f.isOver() {
				_ = c.Close()
			}
			read.Wait()
			_ = c.Close()
		}
	}
}

func (f *flooder) read(r *bufio.Reader) {
	for {
		frame, err := wiretest.ReadFrame(r)
		switch {
		case err != nil:
			f.noteClosed("cut")
			return
		case frame.Op == wiretest.OpClose:
			f.noteClosed(fmt.Sprint(int(frame.Payload[0])<<8 | int(frame.Payload[1])))
			return
		case bytes.Contains(frame.Payload, []byte("rate_limited")):
			f.Refused++
		}
	}
}

// requests floods with requests on one connection after another; what is not answered as it should be
// counts as closed.
func requests(next func(sid string) string) func(f *flooder) {
	return func(f *flooder) {
		for !f.isOver() {
			c := f.dial()
			if c == nil {
				return
			}
			r := bufio.NewReader(c)
			ask := func(request string) (status int, body string) {
				fmt.Fprint(c, request)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					return 0, ""
				}
				b, _ := io.ReadAll(res.Body)
				return res.StatusCode, string(b)
			}
			status, body := ask("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: relay\r\n\r\n")
			if status != http.StatusOK {
				f.Turned++
				<-time.After(20 * time.Millisecond)
			} else {
				_, sid, _ := strings.Cut(body, `"sid":"`)
				sid, _, _ = strings.Cut(sid, `"`)
				for !f.isOver() {
					f.Sent++
					status, _ := ask(next(sid))
					if status == http.StatusTooManyRequests {
						f.Refused++
					}
					if status != http.StatusOK {
						f.noteClosed(fmt.Sprint("status ", status))
						break
					}
				}
			}
			_ = c.Close()
		}
	}
}

// halves floods with connections on which something is begun.
func halves(begin string, keep int) func(f *flooder) {
	return func(f *flooder) {
		var open []net.Conn
		for !f.isOver() {
			c := f.dial()
			if c == nil {
				break
			}
			fmt.Fprint(c, begin)
			f.Sent++
			if open = append(open, c); len(open) > keep {
				f.abandon(open[0])
				open = open[1:]
			}
		}
		for _, c := range open {
			f.abandon(c)
		}
	}
}

// abandon closes a connection, and notes if the relay had done so before.
func (f *flooder) abandon(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := io.Copy(io.Discard, c); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		f.count("cut")
	}
	_ = c.Close()
}

// event is a flood of one event in a room that the flooder is in.
func event(format string) func(f *flooder) {
	return frames("40", func(i int) []byte { return text(fmt.Sprintf(format, i, i%1000)) })
}

var floods = []flood{
	{"pings", event(`42%d["ping",{"n":%d}]`)},
	{"pongs", frames("40", func(int) []byte { return text("3") })},
	{"WebSocket pings", frames("40", func(int) []byte { return wiretest.ClientFrame(0x89, nil) })},
	{"WebSocket pongs", frames("40", func(int) []byte { return wiretest.ClientFrame(0x8a, []byte("x")) })},
	{"empty events", frames("40", func(int) []byte { return text("42[]") })},
	{"unknown events", event(`42%d["nonsense",%d]`)},
	{"joins and leaves", frames("40", func(i int) []byte {
		return text(fmt.Sprintf(`42%d["%s",{"room":"flood-%d"}]`, i, []string{"join", "leave"}[i%2], i/2%1000))
	})},
	{"rejoins", frames("40", func(i int) []byte { return text(fmt.Sprintf(`42%d["join",{"room":"lobby"}]`, i)) })},
	{"lists of members", frames("40", func(i int) []byte { return text(fmt.Sprintf(`42%d["members",{"room":"lobby"}]`, i)) })},
	{"CONNECTs of namespaces", frames("", func(i int) []byte { return text(fmt.Sprintf("40/space-%d,", i%1000)) })},
	{"huge auth", func(f *flooder) {
		huge := text(`40/x,{"name":"` + strings.Repeat("x", 900_000) + `"}`)
		frames("", func(int) []byte { return huge })(f)
	}},
	{"fragments", func(f *flooder) {
		first, more := wiretest.ClientFrame(0x01, []byte("4")), bytes.Repeat(wiretest.ClientFrame(0x00, nil), 1000)
		frames("40", func(i int) []byte {
			if i == 0 {
				return first
			}
			return more
		})(f)
	}},
	{"1-byte polls", requests(func(sid string) string {
		return "POST /socket.io/?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 1\r\n\r\n3"
	})},
	{"half upgrades", requests(func(sid string) string {
		return "GET /socket.io/?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: relay\r\n" + wiretest.HandshakeHeader + "\r\n"
	})},
	{"half handshakes", halves("GET /socket.io/?EIO=4&tra", 500)},
	{"connect and cut", frames("40", func(int) []byte { return wiretest.ClientFrame(0x88, []byte{3, 232}) })},
	{"page, unread", halves(strings.Repeat("GET / HTTP/1.1\r\nHost: relay\r\n\r\n", 20), 100)},
}

// A flood of what is cheap to send costs the flooder its connection, and the others little.
//
//	go test . -run 'TestFloods$' -v -flooders 500 -flood 10s
//	taskset -c 0 go test . -run 'TestFloods$' -v -flooders 500 -flood 10s -apart 1 # the flooders have a processor of their own
//
// Each kind's line has how long what the others publish takes before the flood, while the same clients flood a server
// of their own, which costs the others what the machine does, and during the flood. Beside that it has how long the
// flooders' neighbour waits at most, who has their address, keeps to the limits, and is to keep its connection.
func TestFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("floods a process")
	}
	p := startProcess(t, 20_000, "LOG_LEVEL=info", "MAX_CONNECTIONS=10000")
	o := newOthers(t, p.address)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-23s %31s %31s %31s %9s %8s %8s %8s %8s %8s  %s\n", "p50, p99, work, busy:", "no flood", "another's", "flood", "neighbour",
		"sent", "refused", "closed", "turned", "after", "closed with")
	for i, kind := range floods {
		if !strings.Contains(kind.name, *kinds) {
			continue
		}
		f := outcome{Codes: map[string]int{}}
		var before, control, during took
		var longest time.Duration
		for run := range *runs {
			before = before.least(o.measure(t, p.cmd.Process.Pid, *floodFor))
			others := floodOnce(t, "", i, run)
			control = control.least(o.measure(t, p.cmd.Process.Pid, *floodFor))
			others()
			leave := neighbour(t, p.address, floodersAddress(i, run))
			all := floodOnce(t, p.address, i, run)
			during = during.least(o.measure(t, p.cmd.Process.Pid, *floodFor))
			longest = max(longest, leave())
			f.add(all())
		}
		fmt.Fprintf(&table, "%-23s %s %s %s %9s %8d %8d %8d %8d %8s  %v\n", kind.name, before, control, during,
			longest.Round(time.Millisecond), f.Sent, f.Refused, f.Closed, f.Turned, f.First.Round(time.Millisecond), f.Codes)
		if *floodFor >= time.Second && kind.name != "half handshakes" && kind.name != "page, unread" && f.Closed+f.Turned == 0 &&
			!(kind.name == "1-byte polls" && isWithinRate(f.Sent)) {
			t.Errorf("%s cost nobody a connection", kind.name)
		}
	}
	t.Log(table.String())
}

// isWithinRate reports whether each flooder has sent no more than EVENT_RATE lets anybody send: who waits for each answer
// gets so few of them, when there are many, that none sends more.
func isWithinRate(sent int) bool {
	cfg, err := relay.LoadConfig(nil)
	return err == nil && float64(sent) <= float64(*flooders**runs)*cfg.EventRate.PerSecond()*floodFor.Seconds()
}

// leisurely is a command that runs another one when nothing else wants the processors. Where the kernel has
// no such class, the lowest priority has to do: a client of that may still hold a processor for a tick, of
// 4 ms, before anybody else gets it.
func leisurely() []string {
	if *apart != "" {
		return []string{"taskset", "-c", *apart}
	}
	if path, err := exec.LookPath("chrt"); err == nil && exec.Command(path, "--idle", "0", "true").Run() == nil {
		return []string{path, "--idle", "0"}
	}
	return []string{"nice", "-n", "19"}
}

// floodersAddress is where one of the floods comes from.
func floodersAddress(i, run int) net.IP { return net.IPv4(127, 0, byte(run+1), byte(i+1)) }

// floodOnce has clients of one address flood for a while, and returns what waits for them to end. The machine
// is the relay's first, as if they were on another. Without an address they flood a server of their own.
func floodOnce(t *testing.T, address string, i, run int) (wait func() outcome) {
	args := append(leisurely(), os.Args[0], "-test.run=^TestFlooder$", "-test.v",
		fmt.Sprint("-flooders=", *flooders), fmt.Sprint("-flood=", *floodFor))
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "SETU_FLOODER="+fmt.Sprint(i, " ", run, " ", address))
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (sum outcome) {
		err := c.Wait()
		_, text, ok := strings.Cut(out.String(), "OUTCOME ")
		text, _, _ = strings.Cut(text, "\n")
		if err = errors.Join(err, json.Unmarshal([]byte(text), &sum)); err != nil || !ok {
			t.Fatalf("%s: %v\n%s", floods[i].name, err, out.String())
		}
		return sum
	}
}

// TestFlooder is the process that TestFloods starts.
func TestFlooder(t *testing.T) {
	var i, run int
	var address string
	if n, _ := fmt.Sscan(os.Getenv("SETU_FLOODER"), &i, &run, &address); n < 2 {
		t.Skip("started by TestFloods alone")
	}
	if address == "" {
		address = sink(t)
	}
	var wg sync.WaitGroup
	now := time.Now()
	all := make([]*flooder, *flooders)
	for n := range all {
		all[n] = &flooder{address: address, began: now, until: now.Add(*floodFor), outcome: outcome{Codes: map[string]int{}},
			dialer: net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: floodersAddress(i, run)}}}
		wg.Go(func() { floods[i].run(all[n]) })
	}
	wg.Wait()
	sum := outcome{Codes: map[string]int{}}
	for _, f := range all {
		sum.add(f.outcome)
	}
	text, _ := json.Marshal(sum)
	fmt.Printf("OUTCOME %s\n", text)
}
