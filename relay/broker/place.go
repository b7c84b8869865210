package broker

import (
	"encoding/json"
	"strings"
)

// Place is where a connection is, as others may see it.
type Place struct {
	Region string `json:"region,omitempty"`
	Relay  string `json:"relay,omitempty"`
}

// Unplaced is u without a place: who a user is, wherever that may be.
func (u User) Unplaced() User {
	u.Place = Place{}
	return u
}

// placeMembers begin what a User's JSON says of places, which stands at its end. No string holds one: a quote
// in one has a backslash before it.
var placeMembers = [...]string{`,"region":"`, `,"relay":"`, `,"places":[`, `,"at":"`}

// CutPlaces returns the JSON of a user without what says where the user is.
func CutPlaces(text string) string {
	end := len(text)
	for _, member := range placeMembers {
		if at := strings.Index(text[:end], member); at >= 0 {
			end = at
		}
	}
	if end == len(text) {
		return text
	}
	return text[:end] + "}"
}

// WithPlaces returns the JSON of a user who is at these places, of which the last is that of the User:
// where the user came last. If there are several, all of them are its member places.
func WithPlaces(text string, places ...Place) string { return JoinPlaces(text, PlacesText(places...)) }

// JoinPlaces is WithPlaces of what PlacesText says of places.
func JoinPlaces(text, places string) string {
	text = CutPlaces(text)
	if places == "" || !strings.HasSuffix(text, "}") {
		return text
	}
	return text[:len(text)-1] + places + "}"
}

// PlacesText returns what the JSON of users says who are at these places, for JoinPlaces.
func PlacesText(places ...Place) string {
	if len(places) == 0 {
		return ""
	}
	where := struct {
		Place
		Places []Place `json:"places,omitempty"`
	}{Place: places[len(places)-1]}
	if len(places) > 1 {
		where.Places = places
	}
	more, err := json.Marshal(where)
	if err != nil || len(more) <= len("{}") {
		return "" // nothing is known of the one place
	}
	return "," + string(more[1:len(more)-1])
}
