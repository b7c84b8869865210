//go:build js && wasm

package main

import (
	"syscall/js"
	"time"
)

// view holds the page's elements, and the state in which they are, in groups: one for each part of the
// page, which its file draws. It is guarded by app.mu.
type view struct {
	app        js.Value
	openDrawer string // the side panel that is open over the page, or ""

	status     *label
	toast      *label
	toastShown *toggle

	headView
	roomsView
	peopleView
	messagesView
	footView
	bridgeView
	attachView
	notifyView
	templates

	ignoreRejection js.Func // ignores a rejected promise
}

// headView is what says how the page is connected, in the window's frame, too.
type headView struct {
	pill      js.Value
	pillLabel *label
	pillShort *label
	pillState string
	tryNow    *toggle
	banner    *label
	bannerOn  *toggle
	facts     [4]*label // relay, region, round trip, user
	icon      js.Value
	iconName  string
	title     string
	badge     int
}

// roomsView is the list of rooms, the open one's title, and this user.
type roomsView struct {
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
}

// peopleView is who is here, and who is typing.
type peopleView struct {
	people      js.Value
	peopleRows  []string
	peopleTitle *label
	peopleNote  *label
	peopleCount *label
	peopleOn    *toggle
	typing      js.Value
	typingText  string
}

// messagesView is the list of messages, and what lies over it.
type messagesView struct {
	messages   js.Value
	list       *list
	served     served
	followEnd  bool    // the end is in view, and is to stay in view as the list grows
	below      float64 // how many pixels of the list the user has left below the view, if followEnd: 0 is at the end
	height     float64 // the view's, as onResize last found it
	scrolledTo float64 // scrollTop as the program last set it
	toKey      string  // the row that is to come into view, or ""

	narrow      bool      // no more is in the document than fills the view, for as long as the end is in it
	narrowUntil time.Time // if no more come

	empty      *toggle
	emptyTitle *label
	emptyText  *label
	emptyShare *toggle
	since      *label
	sinceOn    *toggle
	newer      *label
	newerOn    *toggle
	toEnd      *toggle

	unmuteLiveRegion js.Func // undoes muteLiveRegion
}

// footView is where one writes, or is told why not.
type footView struct {
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
}

type templates struct {
	message              js.Value // the element that messages are copies of
	failed, room, person js.Value
}

func newView() *view {
	v := &view{
		app:    byID("app"),
		status: labelOf("status"), toast: labelOf("toast"), toastShown: toggleOf("toast"),
		headView: headView{
			pill: byID("pill"), pillLabel: labelOf("pill-label"), pillShort: labelOf("pill-short"), tryNow: toggleOf("try-now"),
			banner: labelOf("banner"), bannerOn: toggleOf("banner"),
			facts: [4]*label{labelOf("fact-relay"), labelOf("fact-region"), labelOf("fact-rtt"), labelOf("fact-user")},
			icon:  byID("icon"),
		},
		roomsView: roomsView{
			rooms: byID("rooms"), roomRows: make(map[string]*roomRow), roomDot: toggleOf("rooms-badge"),
			roomTitle: &label{el: find(byID("room-title"), "bdi")}, roomShare: toggleOf("share"),
			meName: labelOf("me-name"), meNote: labelOf("me-note"), meMono: find(byID("me"), ".mono"),
		},
		peopleView: peopleView{
			people: byID("people-list"), peopleTitle: labelOf("people-title"), peopleNote: labelOf("people-note"),
			peopleCount: labelOf("people-count"), peopleOn: toggleOf("people-button"), typing: byID("typing"),
		},
		messagesView: newMessagesView(),
		bridgeView:   newBridgeView(),
		footView: footView{
			foot: toggleOf("foot"), composer: byID("composer"), send: byID("send"), sendOff: true,
			notice: labelOf("notice-text"), noticeOn: toggleOf("notice"), tokenForm: toggleOf("token-form"),
			counter: labelOf("counter"), counterOn: toggleOf("counter"),
			grows: supports("field-sizing", "content"),
		},
		attachView: attachView{
			attachment: toggleOf("attachment"), attached: byID("attached"), alt: byID("alt"), attach: byID("attach"),
			replyOn: toggleOf("reply"), replyName: labelOf("reply-name"), replyText: labelOf("reply-text"),
			editingOn: toggleOf("editing"), editingText: labelOf("editing-text"), editingOf: labelOf("editing-of"),
		},
		notifyView: notifyView{notify: toggleOf("notify"), notifyLabel: labelOf("notify-label")},
		templates: templates{
			message: byID("message-template").Get("content").Get("firstElementChild"), failed: byID("failed-template"),
			room: byID("room-template"), person: byID("person-template"),
		},
	}
	v.ignoreRejection = js.FuncOf(func(js.Value, []js.Value) any { return nil })
	return v
}

func newMessagesView() messagesView {
	messages := byID("messages")
	return messagesView{
		messages: messages, list: newList(byID("list")), followEnd: true,
		empty: toggleOf("empty"), emptyTitle: labelOf("empty-title"),
		emptyText: labelOf("empty-text"), emptyShare: toggleOf("empty-share"),
		since: labelOf("unread-since"), sinceOn: toggleOf("unread-since"),
		newer: labelOf("new-messages"), newerOn: toggleOf("new-messages"), toEnd: toggleOf("to-end"),
		unmuteLiveRegion: js.FuncOf(func(js.Value, []js.Value) any {
			setAttr(messages, "aria-live", "polite")
			return nil
		}),
	}
}

func supports(property, value string) bool {
	return window.Get("CSS").Call("supports", property, value).Bool()
}
