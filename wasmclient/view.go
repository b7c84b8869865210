//go:build js && wasm

package main

import "syscall/js"

// view holds the page's elements, and the state in which they are. It is guarded by app.mu.
type view struct {
	app        js.Value
	openDrawer string // the side panel that is open over the page, or ""
	list       *list
	followEnd  bool    // the end is in view, and is to stay in view as the list grows
	scrolledTo float64 // scrollTop as the program last set it

	status     *label
	toast      *label
	toastShown *toggle

	pill      js.Value
	pillLabel *label
	pillState string
	tryNow    *toggle
	banner    *label
	bannerOn  *toggle
	facts     [4]*label // relay, region, round trip, user
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
	typingText  string

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
	notice    *label
	noticeOn  *toggle
	tokenForm *toggle

	composerOff bool
	counter     *label
	counterOn   *toggle
	grows       bool // the browser fits the composer to its text

	message, failed, room, person js.Value // templates

	unmuteLiveRegion js.Func // undoes muteLiveRegion
	ignoreRejection  js.Func // ignores a rejected promise
}

func newView() *view {
	v := &view{
		app: byID("app"), list: newList(byID("list")), followEnd: true,
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
		notice: labelOf("notice-text"), noticeOn: toggleOf("notice"), tokenForm: toggleOf("token-form"),
		counter: labelOf("counter"), counterOn: toggleOf("counter"),
		grows:   supports("field-sizing", "content"),
		message: byID("message-template"), failed: byID("failed-template"),
		room: byID("room-template"), person: byID("person-template"),
	}
	v.unmuteLiveRegion = js.FuncOf(func(js.Value, []js.Value) any {
		setAttr(v.messages, "aria-live", "polite")
		return nil
	})
	v.ignoreRejection = js.FuncOf(func(js.Value, []js.Value) any { return nil })
	return v
}

func supports(property, value string) bool {
	return window.Get("CSS").Call("supports", property, value).Bool()
}
