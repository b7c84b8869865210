package e2e_test

import (
	"fmt"
	"sync"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
	"setu/e2e/swarm"
)

// crowdIn has people come into the harbour who say nothing. They leave by leave, the last ones first.
func crowdIn(t *testing.T, relay *cluster.Relay, people int) (leave func(count int)) {
	t.Helper()
	all := make([]*swarm.Client, people)
	var coming, listening sync.WaitGroup
	for lane := range 16 {
		coming.Go(func() {
			for i := lane; i < people; i += 16 {
				name := fmt.Sprintf("Person %04d", i+1)
				c, err := swarm.Dial(relay.Address(), authOf(name), swarm.Options{})
				if err == nil {
					all[i], err = c, c.Join("harbour")
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				listening.Go(func() {
					for {
						if _, err := c.Next(); err != nil {
							return
						}
					}
				})
			}
		})
	}
	coming.Wait()
	leave = func(count int) {
		for ; count > 0 && len(all) > 0; count-- {
			if c := all[len(all)-1]; c != nil {
				c.Close()
			}
			all = all[:len(all)-1]
		}
	}
	t.Cleanup(func() {
		leave(people)
		listening.Wait()
	})
	if t.Failed() {
		t.FailNow()
	}
	return leave
}

// countIs waits until so many people are said to be here, so many are listed, and the rest is told.
func (p person) countIs(count, listed int, note string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#people-title").textContent === "Here now · %d" && document.querySelector("#people-count").textContent === "%d" && document.querySelectorAll("#people-list [data-user]").length === %d && document.querySelector("#people-note").textContent === %q`,
		count, count, listed, note), fmt.Sprintf("%s to see %d people, %d of them listed, and %q", p.name, count, listed, note))
}

// More people than there is a list of: the page counts them, and lists them when there are fewer again.
func TestPageInACrowd(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	asha := openPage(t, b, relay, "Asha", browser.Viewport{Width: 2560, Height: 1200})
	asha.countIs(1, 1, "Nobody else yet. Share the link.")
	leave := crowdIn(t, relay, 1050)
	asha.countIs(1051, 0, "This room is too large to list everyone.")
	ben := openPage(t, b, relay, "Ben", browser.Phone.InDark())
	ben.countIs(1052, 0, "This room is too large to list everyone.")
	ben.say("Is there room for one more?")
	asha.sees("Is there room for one more?")
	asha.Screenshot("page crowd uncounted wide light")
	ben.Click("#people-button")
	ben.WaitFor(`document.querySelector("#people").getBoundingClientRect().right <= innerWidth`, "who is here")
	ben.Screenshot("page crowd uncounted phone dark")

	leave(102)
	asha.countIs(950, 200, "and 750 more")
	ben.countIs(950, 200, "and 750 more")
	asha.WaitFor(`[...document.querySelectorAll("#people-list .person-name bdi")].slice(0, 4).map(e => e.textContent).join() === "Asha,Ben,Person 0001,Person 0002"`, "herself first, then the others by name")
	asha.Screenshot("page crowd wide light")
	ben.Eval(`document.querySelector("#people-list").scrollTop = 1e6`, nil)
	ben.Screenshot("page crowd phone dark")
	leave(945)
	asha.countIs(5, 5, "")
	asha.hasNoErrors()
	ben.hasNoErrors()
}
