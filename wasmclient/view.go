//go:build js && wasm

package main

import "syscall/js"

// view holds the page's elements, and what is known of how they stand.
type view struct {
	app    js.Value
	drawer string // the side panel that lies over the page, or ""
	list   *list
	stick  bool    // the reader is at the end, and stays there as it grows
	place  float64 // where this program last scrolled to

	status     *label
	toast      *label
	toastShown *toggle

	pill      js.Value
	pillLabel *label
	pillState string
	tryNow    *toggle
	banner    *label
	bannerOn  *toggle
	facts     [4]*label // relay, region, round trip, oneself
	icon      js.Value
	iconName  string
	title     string
	badge     int

	rooms     js.Value
	roomRows  map[string]*roomRow
	roomOrder []string
	roomDot   *toggle
	roomTitle *label
	roomShare *toggle
	meName    *label
	meNote    *label
	meMono    js.Value
	meKey     string

	people      js.Value
	peopleRows  []string
	peopleTitle *label
	peopleNote  *label
	peopleCount *label
	peopleOn    *toggle
	typing      js.Value
	typed       string

	messages   js.Value
	empty      *toggle
	emptyTitle *label
	emptyText  *label
	emptyShare *toggle
	newer      *label
	newerOn    *toggle
	toEnd      *toggle

	foot      *toggle
	composer  js.Value
	send      js.Value
	sendOff   bool
	counter   *label
	counterOn *toggle
	grows     bool // the browser sizes the composer by itself

	message, failed, room, person js.Value // templates

	speakAgain js.Func // lets a screen reader hear of new messages again
	ignore     js.Func // takes the refusal of what need not work
}

func newView() *view {
	v := &view{
		app: byID("app"), list: newList(byID("list")), stick: true,
		status: labelOf("status"), toast: labelOf("toast"), toastShown: toggleOf("toast"),
		pill: byID("pill"), pillLabel: labelOf("pill-label"), tryNow: toggleOf("try-now"),
		banner: labelOf("banner"), bannerOn: toggleOf("banner"),
		facts: [4]*label{labelOf("fact-relay"), labelOf("fact-region"), labelOf("fact-rtt"), labelOf("fact-user")},
		icon:  byID("icon"),
		rooms: byID("rooms"), roomRows: make(map[string]*roomRow), roomDot: toggleOf("rooms-badge"),
		roomTitle: &label{el: find(byID("room-title"), "bdi")}, roomShare: toggleOf("share"),
		meName: labelOf("me-name"), meNote: labelOf("me-note"), meMono: find(byID("me"), ".mono"),
		people: byID("people-list"), peopleTitle: labelOf("people-title"), peopleNote: labelOf("people-note"),
		peopleCount: labelOf("people-count"), peopleOn: toggleOf("people-button"), typing: byID("typing"),
		messages: byID("messages"), empty: toggleOf("empty"), emptyTitle: labelOf("empty-title"),
		emptyText: labelOf("empty-text"), emptyShare: toggleOf("empty-share"),
		newer: labelOf("new-messages"), newerOn: toggleOf("new-messages"), toEnd: toggleOf("to-end"),
		foot: toggleOf("foot"), composer: byID("composer"), send: byID("send"), sendOff: true,
		counter: labelOf("counter"), counterOn: toggleOf("counter"),
		grows:   supports("field-sizing", "content"),
		message: byID("message-template"), failed: byID("failed-template"),
		room: byID("room-template"), person: byID("person-template"),
	}
	v.speakAgain = js.FuncOf(func(js.Value, []js.Value) any {
		setAttr(v.messages, "aria-live", "polite")
		return nil
	})
	v.ignore = js.FuncOf(func(js.Value, []js.Value) any { return nil })
	return v
}

func supports(property, value string) bool {
	return window.Get("CSS").Call("supports", property, value).Bool()
}
