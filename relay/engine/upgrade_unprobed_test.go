package engine

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"setu/relay/wiretest"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// PHP's elephant.io sends no probe: it has no request under way when it upgrades.
func TestUpgradeWithoutProbe(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		p.Say("4one")
		p.Get().Is(t, 200, "4one")
		p.Say("4two") // what waits goes by the WebSocket
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		k.Text("5", "4three")
		k.Expect("4two")
		k.Expect("4three")
		p.Get().Is(t, 400, wiretest.BadRequest)
		p.Post("4x").Is(t, 400, wiretest.BadRequest)
		if h := r.only().handler.(*tape); !slices.Equal(h.all(), []string{"one", "two", "three"}) {
			t.Error(h.all())
		}
	})
}

// turnedAway asserts that a WebSocket was not taken.
func turnedAway(k *wiretest.Peer) {
	k.T.Helper()
	if code, reason := k.Closed(); code != closeProtocol {
		k.T.Errorf("closed with %d %q", code, reason)
	}
	k.EOF()
}

// A client that leaves out the probe with a request under way stays with polling, and loses
// nothing.
func TestUpgradeWithoutProbeTooSoon(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		waits := p.Waiting()
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		k.Text("5")
		turnedAway(k)
		p.Say("4x")
		(<-waits).Is(t, 200, "4x")
		still(p)
	})
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		body, rest := io.Pipe()
		posted := wiretest.Later(func() wiretest.Reply { return p.Send(t.Context(), "POST", "", body) })
		_, _ = rest.Write([]byte("4fi"))
		synctest.Wait()
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		k.Text("5")
		turnedAway(k)
		_, _ = rest.Write([]byte("rst"))
		_ = rest.Close()
		(<-posted).Is(t, 200, "ok")
		p.Get().Is(t, 200, "4first")
		still(p)
		if h := r.only().handler.(*tape); !slices.Equal(h.all(), []string{"first", "still"}) {
			t.Error(h.all())
		}
	})
}

// A request whose answer is being written is not under way: its client may have the answer already.
func TestUpgradeWithoutProbeDuringAnAnswer(t *testing.T) {
	answering := func(r *rig) (p *wiretest.Poller, answer *bufio.Reader) {
		p = r.Poll()
		p.Say("4one")
		c := r.Dial()
		_, _ = fmt.Fprintf(c, "GET %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\n\r\n", path, p.SID)
		synctest.Wait()
		return p, bufio.NewReader(c)
	}
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p, answer := answering(r)
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		k.Text("5")
		synctest.Wait()
		res, err := http.ReadResponse(answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); string(body) != "4one" || err != nil {
			t.Errorf("%q %v", body, err)
		}
		k.Text("4x")
		k.Expect("4x")
	})
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) { // one that nobody reads
		p, _ := answering(r)
		start := time.Now()
		k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
		k.Text("5")
		k.EOF()
		if took := time.Since(start); took != upgradeTimeout {
			t.Errorf("the WebSocket stood for %s", took)
		}
	})
}
