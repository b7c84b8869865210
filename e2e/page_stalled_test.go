package e2e_test

import (
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

const (
	hereNow  = `document.querySelector("#people-title").textContent`
	pillText = `document.querySelector("#pill-label").textContent`
)

// startStalling starts Redis and one relay, and somebody at the page who has written two messages.
func startStalling(t *testing.T) (*fleet, person) {
	t.Helper()
	f := startOneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(f.dublin.URL()+"/r/harbour", isConnected, "her connection")
	asha.say("One")
	asha.say("Two")
	asha.sees("Two")
	asha.isKept("setu ")
	return f, asha
}

// While Redis is silent the page says so, and keeps what is written. Who comes in meanwhile is let in when it is
// back.
func TestPageOfASilentRedis(t *testing.T) {
	t.Parallel()
	f, asha := startStalling(t)
	f.redis.Pause()
	asha.WaitFor(pillText+` === "Redis is silent"`, "the silence to be told")
	asha.WaitFor(hereNow+` === "Last seen here"`, "that nobody is known")
	asha.say("Into the silence")
	asha.Screenshot("page redis silent desktop light")
	asha.OpenUntil(f.dublin.URL()+"/r/harbour", isConnected, "her connection")
	asha.WaitFor(pillText+` === "Redis is silent" && document.querySelector("#banner").checkVisibility()`, "the silence to be told again")
	asha.WaitFor(visible+`.join() === "One,Two,Into the silence"`, "what was there to stand")
	asha.WaitFor(`document.querySelectorAll("#list .row-day").length === 1`, "today, once")
	asha.Screenshot("page not let in desktop light")
	f.redis.Unpause()
	asha.sees("Into the silence")
	asha.sees("Two")
	asha.WaitFor(`document.querySelector(".way")?.textContent.startsWith("Stored after ")`, "how long it has waited, over the reload")
	asha.WaitFor(hereNow+` === "Here now · 1" && `+pillText+`.includes("ms")`, "all to be well")
}

func startOneRelay(t *testing.T) *fleet {
	t.Helper()
	cluster.Require(t)
	f := &fleet{t: t, network: cluster.NewNetwork(t), room: "harbour"}
	f.redis = cluster.StartRedis(t, f.network, cluster.RedisOptions{})
	f.dublin = f.relay("dublin", nil)
	return f
}
