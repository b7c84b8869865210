package e2e_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"setu/e2e/browser"
	"setu/e2e/cluster"
	"setu/relay/client"
)

// farRelay is a script that makes the way from the relay 300 ms long, and notes what is published and
// answered.
const farRelay = `(() => {
	try { localStorage.setItem("setu.name", "Asha"); } catch { return; }
	const Real = WebSocket, came = Object.getOwnPropertyDescriptor(Real.prototype, "onmessage").set, log = globalThis.log = [];
	globalThis.WebSocket = class extends Real {
		send(data) { if (/^42\d+\["publish"/.test(data)) log.push("publish"); super.send(data); }
		set onmessage(f) { came.call(this, f && ((e) => setTimeout(() => { if (/^43\d+.*"seq"/.test(e.data)) log.push("ack"); f(e); }, 300))); }
	};
})()`

// Messages are sent without waiting for one another, and stand in order.
func TestPageSendsWithoutWaiting(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(farRelay)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
	asha.Eval(`log.length = 0`, nil)
	sendTen(asha.Tab)
	asha.WaitFor(`document.querySelectorAll('.message[data-state="sent"]').length === 10`, "all to be sent")
	var seen []string
	if asha.Eval(`log`, &seen); fmt.Sprint(seen[:10]) != "[publish publish publish publish publish publish publish publish publish publish]" {
		t.Errorf("messages wait for answers: %v", seen)
	}
	if got := fmt.Sprint(asha.screen()); got != "[1 2 3 4 5 6 7 8 9 10]" {
		t.Errorf("they stand as %s", got)
	}
	asha.hasNoErrors()
}

// sendTen writes ten messages, one after another, as fast as the page takes them.
func sendTen(tab *browser.Tab) {
	tab.Eval(`(() => {
		const composer = document.querySelector("#composer");
		for (let i = 1; i <= 10; i++) {
			composer.value = String(i);
			composer.dispatchEvent(new Event("input", { bubbles: true }));
			document.querySelector("#composer-form").requestSubmit();
		}
	})()`, nil)
}

// A message that the relay refuses holds back no other one, and is not lost.
func TestPageGoesOnAfterARefusal(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	relay := cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin", Env: map[string]string{"MAX_PAYLOAD": "20000"}})
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(farRelay)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
	asha.Eval(`(() => {
		const composer = document.querySelector("#composer");
		for (const text of ["one", "界".repeat(9000), "three"]) {
			composer.value = text;
			composer.dispatchEvent(new Event("input", { bubbles: true }));
			document.querySelector("#composer-form").requestSubmit();
		}
	})()`, nil)
	asha.sees("one")
	asha.sees("three")
	asha.WaitFor(`document.querySelector('.message[data-state="failed"] [data-do="retry"]')`, "the one that was refused, with a way to try again")
}

// Of many messages that come between two frames, those are built that are shown.
func TestPageBuildsWhatIsSeen(t *testing.T) {
	t.Parallel()
	relay := startBusyRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(`(() => {
		try { localStorage.setItem("setu.name", "Asha"); } catch { return; }
		globalThis.built = 0;
		const clone = Node.prototype.cloneNode, frame = globalThis.requestAnimationFrame.bind(globalThis), held = [];
		Node.prototype.cloneNode = function (...a) { if (this.className === "message") globalThis.built++; return clone.apply(this, a); };
		globalThis.requestAnimationFrame = (f) => globalThis.holds ? held.push(f) : frame(f);
		globalThis.letGo = () => { globalThis.holds = false; held.forEach((f) => frame(f)); };
		const Real = WebSocket, came = Object.getOwnPropertyDescriptor(Real.prototype, "onmessage").set;
		globalThis.WebSocket = class extends Real {
			set onmessage(f) { came.call(this, f && ((e) => { f(e); if (String(e.data).includes("last of")) globalThis.allCame = true; })); }
		};
	})()`)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
	asha.Eval(`globalThis.holds = true`, nil)
	const messages = 600
	flow(t, relay, 4, messages)
	asha.WaitFor(`globalThis.allCame`, "all messages to come")
	asha.Eval(`letGo()`, nil)
	asha.WaitFor(visible+`.at(-1)?.startsWith("last")`, "the last message")
	var rows, built int
	asha.Eval(`document.querySelectorAll("#list .message").length`, &rows)
	asha.Eval(`built`, &built)
	t.Logf("%d messages, %d elements built, %d rows", messages, built, rows)
	if rows > 120 || built > messages/3 {
		t.Errorf("%d rows; %d elements were built of %d messages", rows, built, messages)
	}
	asha.WaitFor(`document.querySelectorAll("#list .message").length >= 60`, "what is above the view, when it is over")
	asha.Eval(`document.querySelector("#messages").scrollTop = 0`, nil)
	asha.WaitFor(`document.querySelectorAll("#list .message").length >= 120`, "what is farther up, when she goes there")
	asha.hasNoErrors()
}

// What a socket receives fast is handed over together, in order, with what is binary in its place. What is still
// held can be taken, and does not come again.
func TestPageGathersFrames(t *testing.T) {
	t.Parallel()
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Open(startLoneRelay(t).URL() + "/r/harbour")
	var seen struct {
		All, Held   string
		Calls, Last int
		None        bool
	}
	tab.Eval(`(async () => {
		const got = [], { onmessage, take } = setuGather((data) => got.push(typeof data === "string" ? data : "binary"));
		for (let i = 0; i < 100; i++) onmessage({ data: String(i) });
		onmessage({ data: new ArrayBuffer(1) });
		onmessage({ data: "held" });
		const calls = got.length, held = take(), none = take() === undefined, all = got.join("\x1e");
		await new Promise((resolve) => setTimeout(resolve, 100));
		const later = got.length;
		onmessage({ data: "late" });
		while (got.at(-1) !== "late") await new Promise((resolve) => setTimeout(resolve, 10));
		return { all, held, calls, none, last: got.length - later };
	})()`, &seen)
	want := ""
	for i := range 100 {
		want += strconv.Itoa(i) + "\x1e"
	}
	if want += "binary"; seen.All != want {
		t.Errorf("handed over: %q, want %q", seen.All, want)
	}
	if seen.Held != "held" || !seen.None || seen.Last != 1 {
		t.Errorf("held: %q, nothing after it: %v; %d calls for one frame", seen.Held, seen.None, seen.Last)
	}
	if seen.Calls > 20 {
		t.Errorf("%d calls for 101 frames", seen.Calls)
	}
}

// described is a script that says all of what stands of the message with a text, whichever way it was written.
// By which relay it came is not known of one that has just come.
const described = `(() => {
	const describe = (el) => [el.localName, ...[...el.attributes].map((a) => a.name + "=" + a.value.replace(", relay dublin", "")).sort(), ...[...el.childNodes].map((n) => n.nodeType === 3 ? n.data : describe(n))];
	const found = [...document.querySelectorAll("#list .message")].find((m) => m.querySelector(".text").textContent === "<b>as it is</b>");
	return found && JSON.stringify(describe(found));
})()`

// A message that has just come, which is written with others at a time, is the same in the document as one that
// was there when the page was opened, which is written by itself.
func TestPageWritesAlike(t *testing.T) {
	t.Parallel()
	relay := startBusyRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
	if _, err := writersIn(t, relay, 1)[0].Publish(t.Context(), "harbour", map[string]string{"text": "<b>as it is</b>"}, ""); err != nil {
		t.Fatal(err)
	}
	asha.WaitFor(described, "the message")
	var live, opened string
	asha.Eval(described, &live)
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.WaitFor(`document.querySelector("#list .message[data-key]")`, "the message again")
	if asha.Eval(described, &opened); live != opened {
		t.Errorf("when it came:\n%s\nlater:\n%s", live, opened)
	}
	asha.hasNoErrors()
}

// startBusyRelay starts a relay that takes as much as comes.
func startBusyRelay(t testing.TB) *cluster.Relay {
	t.Helper()
	cluster.Require(t)
	return cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin", Region: "dub", Env: map[string]string{
		"PUBLISH_RATE": "off", "USER_PUBLISH_RATE": "off", "BYTES_RATE": "off", "HISTORY_LIMIT": "256"}})
}

// writersIn connects people to a room.
func writersIn(t testing.TB, relay *cluster.Relay, people int) (all []*client.Client) {
	t.Helper()
	for i := range people {
		c, err := client.Dial(t.Context(), relay.URL(), &client.Options{Name: fmt.Sprint("Person ", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Join(t.Context(), "harbour", client.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// flow publishes messages by some people as fast as the relay takes them, and then one that says it is the
// last. It returns how long that took.
func flow(t testing.TB, relay *cluster.Relay, people, messages int) time.Duration {
	t.Helper()
	all := writersIn(t, relay, people)
	began := time.Now()
	failed := make(chan error, people)
	for _, c := range all {
		go func() {
			var under []*client.Publishing
			for i := range messages / people {
				p, err := c.StartPublish("harbour", map[string]string{"text": "message " + strconv.Itoa(i+1) + " of many, as long as people's are"}, "")
				if err != nil {
					failed <- err
					return
				}
				if under = append(under, p); len(under) < 100 {
					continue
				}
				if _, err := under[0].Wait(t.Context()); err != nil {
					failed <- err
					return
				}
				under = under[1:]
			}
			for _, p := range under {
				if _, err := p.Wait(t.Context()); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range all {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := all[0].Publish(t.Context(), "harbour", map[string]string{"text": "last of " + strconv.Itoa(messages)}, ""); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// Figures of a first visit on a slow line: when something is painted, and when the room's last message can
// be read.
func BenchmarkPageCold(b *testing.B) {
	relay := startBusyRelay(b)
	flow(b, relay, 2, 40)
	chromium := browser.Start(b)
	for b.Loop() {
		tab := chromium.Tab(b, browser.Desktop)
		tab.Prepare(`(() => {
			try { localStorage.setItem("setu.name", "Asha"); } catch { return; }
			new PerformanceObserver((list) => { for (const e of list.getEntries()) if (e.name === "first-contentful-paint") globalThis.paint = e.startTime; }).observe({ type: "paint", buffered: true });
			const look = () => {
				const seen = [...document.querySelectorAll("#list .message")].some(m => m.textContent.includes("last of") && m.checkVisibility({ visibilityProperty: true }));
				if (seen) globalThis.message ??= performance.now();
				if (seen && globalThis.paint && document.body.dataset.ready !== undefined && document.querySelector("#pill").dataset.status === "connected") globalThis.whole ??= performance.now();
				requestAnimationFrame(look);
			};
			requestAnimationFrame(look);
		})()`)
		tab.SlowLine()
		tab.Open(relay.URL() + "/r/harbour")
		tab.WaitFor(`globalThis.whole`, "the whole page")
		var at struct{ Paint, Message, Whole float64 }
		tab.Eval(`({ paint, message, whole })`, &at)
		b.ReportMetric(at.Paint, "ms/paint")
		b.ReportMetric(at.Message, "ms/message")
		b.ReportMetric(at.Whole, "ms/connected")
		b.ReportMetric(float64(tab.WireBytes()), "bytes")
		tab.Open("about:blank")
	}
	b.ReportMetric(0, "ns/op")
}

// Figures of a busy room: frames a second while 20 people write 200 messages a second, with people beside.
func BenchmarkPageBusy(b *testing.B) {
	for _, at := range []struct {
		cpu    float64
		people int
	}{{1, 20}, {4, 20}, {1, 400}, {4, 400}} {
		b.Run(fmt.Sprintf("cpu 1:%v, %d people", at.cpu, at.people), func(b *testing.B) {
			relay := startBusyRelay(b)
			tab := browser.Start(b).Tab(b, browser.Desktop)
			tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
			tab.Open(relay.URL() + "/r/harbour")
			tab.WaitFor(isConnected, "the connection")
			writers := writersIn(b, relay, at.people)[:20]
			flow(b, relay, 1, 400) // the list is full
			tab.SlowCPU(at.cpu)
			for b.Loop() {
				ticker := time.NewTicker(5 * time.Millisecond)
				tab.Eval(`(() => { globalThis.frames = 0; globalThis.since = performance.now(); const f = () => { frames++; requestAnimationFrame(f); }; requestAnimationFrame(f); })()`, nil)
				var under []*client.Publishing
				for i := range 1600 { // 8 s
					<-ticker.C
					p, err := writers[i%20].StartPublish("harbour", map[string]string{"text": "message " + strconv.Itoa(i) + " of many, as long as people's are"}, "")
					if err != nil {
						b.Fatal(err)
					}
					under = append(under, p)
				}
				var frames float64
				tab.Eval(`frames * 1000 / (performance.now() - since)`, &frames)
				ticker.Stop()
				for _, p := range under {
					if _, err := p.Wait(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(frames, "frames/s")
			}
			tab.Screenshot(fmt.Sprintf("page busy %v %d", at.cpu, at.people))
			b.ReportMetric(0, "ns/op")
		})
	}
}

// Figures of a burst: how long after the last of 10,000 messages it is shown, and how long ten quick
// messages take on a line of 300 ms.
func BenchmarkPageBurst(b *testing.B) {
	relay := startBusyRelay(b)
	tab := browser.Start(b).Tab(b, browser.Desktop)
	tab.Prepare(farRelay)
	tab.Open(relay.URL() + "/r/harbour")
	tab.WaitFor(isConnected, "the connection")
	tab.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
	for b.Loop() {
		tab.Eval(`globalThis.began = performance.now()`, nil)
		sendTen(tab)
		tab.WaitFor(`document.querySelectorAll('.message[data-state="sent"]').length === 10`, "all to be sent")
		var ten float64
		tab.Eval(`performance.now() - began`, &ten)
		b.ReportMetric(ten, "ms/ten-sent")

		tab.Eval(`(() => { globalThis.shown = 0; const f = () => { const m = [...document.querySelectorAll("#list .message .text")].at(-1); if (m?.textContent.startsWith("last")) globalThis.shown ||= performance.now(); else requestAnimationFrame(f); }; f(); })()`, nil)
		took := flow(b, relay, 20, 10_000)
		var told float64
		tab.Eval(`performance.now()`, &told)
		var shown float64
		for end := time.Now().Add(2 * time.Minute); shown == 0 && time.Now().Before(end); {
			tab.Eval(`new Promise((resolve) => setTimeout(() => resolve(shown), 50))`, &shown)
		}
		b.ReportMetric(took.Seconds(), "s/published")
		b.ReportMetric(max(0, shown-told), "ms/shown-after")
	}
	b.ReportMetric(0, "ns/op")
}
