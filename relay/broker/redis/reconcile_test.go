package redis

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/rueidis"
)

// All rooms come round, a page at a time, once in a while; those in doubt come first, with all their
// users.
func TestLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := offline()
		defer b.cancel()
		p := b.presence
		const rooms, users = 2*maxLooks + 10, 3
		for i := range rooms * users {
			at := place{fmt.Sprint("room", i/users), fmt.Sprint(i % users)}
			p.enter(at, "{}")
			p.forget(at)
			p.record(at, i%users+1)
		}
		big := 2*lookUsers + 1
		for i := range big {
			at := place{"big", fmt.Sprint(i)}
			p.enter(at, "{}")
			p.forget(at)
			p.record(at, i+1)
		}
		round := func() {
			t.Helper()
			seen := map[string]int{}
			for range 3 {
				page := p.looks()
				if len(page) > maxLooks {
					t.Errorf("%d at once", len(page))
				}
				for _, l := range page {
					seen[l.room] += len(l.users)
				}
			}
			if len(seen) != rooms+1 || seen["room7"] != 1 || seen["big"] != 1 {
				t.Errorf("%d rooms came round", len(seen))
			}
			if n := len(p.looks()); n != 0 {
				t.Errorf("%d more at once", n)
			}
		}
		round()
		time.Sleep(sweepInterval + time.Second)
		p.doubt("big", big)
		round()
		p.doubt("big", big-1)
		p.doubt("nowhere", 0)
		looks, n := p.looks(), 0
		for _, l := range looks {
			n += len(l.users)
		}
		if len(looks) != 3 || n != big {
			t.Errorf("in doubt: %d looks at %d users", len(looks), n)
		}
		// One of them is gone: all others are looked at, next time.
		time.Sleep(sweepInterval + time.Second)
		at := p.looks()[0]
		p.seen(at, make([]rueidis.RedisMessage, 1), errLife)
		if _, doubted := p.doubted[at.room]; !doubted {
			t.Error("forgotten, though there was no answer")
		}
	})
}

// A life of this relay that could not be taken out is tried again: Redis may have lost its lease, so
// that nobody else would find it.
func TestEvictorTriesAgain(t *testing.T) {
	e := newEvictor(nil)
	ended := func(life string) endedLife { return endedLife{life: life} }
	e.add(1, ended("one"), ended("two"), ended("one"))
	if got := e.next().life; got != "one" {
		t.Error(got)
	}
	e.add(1, ended("one")) // it is under way
	e.fail(ended("one"))
	if got := e.next().life; got != "two" {
		t.Error(got)
	}
	if got := e.next().life; got != "" {
		t.Error("tried again at once: ", got)
	}
	e.add(1, ended("three"))
	if one, two := e.next().life, e.next().life; one != "three" || two != "" {
		t.Error("tried again with another: ", one, two)
	}
	e.addAll(1, nil)
	if got := e.next().life; got != "one" {
		t.Errorf("%q is tried again", got)
	}
	for range 3 { // as each list that shows somebody says
		e.add(1, endedLife{life: "four", left: []place{{"a", "ann"}}}, endedLife{life: "four", left: []place{{"a", "ann"}, {"a", "ben"}}})
	}
	if four, none := e.next(), e.next(); four.life != "four" || len(four.left) != 2 || none.life != "" {
		t.Errorf("%+v, and then %+v", four, none)
	}
	for i := range 2 * maxEvicted {
		e.add(1, ended(fmt.Sprint(i)))
		e.fail(ended(fmt.Sprint(i)))
	}
	if len(e.waiting) > maxEvicted || len(e.failed) > maxEvicted {
		t.Errorf("%d wait", len(e.waiting)+len(e.failed))
	}
}

// A script names every key that it touches: it gets them as KEYS.
func TestScriptsDeclareKeys(t *testing.T) {
	used := regexp.MustCompile(`redis\.p?call\('([A-Z]+)'(?:, *([^,)]+))?`)
	shared := []string{"notices", "told", "left", "waiting", "turns", "dead"} // that shared/notices.lua takes from KEYS
	for _, name := range luaFiles(t) {
		text, err := lua.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		declared := append([]string{"KEYS["}, shared...)
		for _, found := range regexp.MustCompile(`for \w+, (\w+) in ipairs\(KEYS\)|local (\w+)[^=\n]*= KEYS\[[^\]]+\]`).FindAllStringSubmatch(string(text), -1) {
			declared = append(declared, found[1]+found[2])
		}
		if name == "lua/shared/notices.lua" {
			declared = append(declared, "key") // of keep
		}
		if name == "lua/shared/notes.lua" || name == "lua/shared/trim.lua" {
			declared = append(declared, "stream", "notes") // of functions, whose callers the next test looks at
		}
		for _, found := range used.FindAllStringSubmatch(string(text), -1) {
			command, key := found[1], found[2]
			if command == "TIME" || command == "PUBLISH" || command == "XREADGROUP" || command == "XGROUP" { // a channel is no key; of groups it comes later
				continue
			}
			if !slices.ContainsFunc(declared, func(d string) bool { return key == d || d == "KEYS[" && strings.HasPrefix(key, d) }) {
				t.Errorf("%s: %s of %s", name, command, key)
			}
		}
	}
}

func luaFiles(t *testing.T) []string {
	files, err := fs.Glob(lua, "lua/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return append(files, "lua/shared/notices.lua", "lua/shared/notes.lua", "lua/shared/trim.lua")
}

// What scripts share of annotations is called with keys that are declared.
func TestSharedScriptsGetKeys(t *testing.T) {
	calls := regexp.MustCompile(`[^.\w](?:textOf|trim)\(([^,]+), ([^,]+), `)
	n := 0
	for _, name := range luaFiles(t) {
		text, err := lua.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range calls.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(name, "lua/shared/") {
				continue // where they are made
			}
			n++
			if key := found[1]; !strings.HasPrefix(key, "KEYS[") && key != "key" { // of missed.lua, which takes it from KEYS
				t.Errorf("%s: %s", name, found[0])
			}
			if key := found[2]; key != "notes" && key != "nil" && !strings.Contains(found[0], "trim") {
				t.Errorf("%s: %s", name, found[0])
			}
		}
	}
	if n < 5 {
		t.Errorf("%d calls", n)
	}
}

// A life that is to be taken out stays if Redis was away in between, however long ago that was noticed.
func TestEvictsNothingFromBefore(t *testing.T) {
	b := &Broker{keys: newKeys("setu", 0)}
	b.feed = newFeed(b)
	b.feed.phase, b.feed.probedAt = live, time.Now()
	p := newPresence(b)
	p.shake()
	_, before := p.takeShaken()
	if !p.isSettledSince(before) {
		t.Error("Redis is there")
	}
	p.shake()
	if p.isSettledSince(before) {
		t.Error("Redis was away")
	}
	if _, now := p.takeShaken(); p.isSettledSince(before) || !p.isSettledSince(now) {
		t.Error("Redis was away before, and is there now")
	}
}
