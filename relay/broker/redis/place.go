package redis

import (
	"net/url"
	"strings"

	"setu/relay/broker"
)

// Where a user is follows from the lives that have recorded the user in a room: the name of a life says
// which relay's it is, and in which region that runs. So Redis holds nothing more of a user, a relay of
// before reads what it always did, and its own lives say nothing.

// newLife is the name of a life of a relay at a place: "<random>.<region>.<relay>", or the first part
// alone if nothing is known of the place. The names are escaped: lives are joined by commas, and stand
// within JSON.
func newLife(at broker.Place) string {
	if at == (broker.Place{}) {
		return newName()
	}
	return newName() + "." + escapePart(at.Region) + "." + escapePart(at.Relay)
}

func escapePart(s string) string { return strings.ReplaceAll(url.QueryEscape(s), ".", "%2E") }

// whereIs returns where the relay of a life is.
func whereIs(life string) (at broker.Place, known bool) {
	part := strings.Split(life, ".")
	if len(part) != 3 {
		return at, false
	}
	region, err1 := url.QueryUnescape(part[1])
	relay, err2 := url.QueryUnescape(part[2])
	return broker.Place{Region: region, Relay: relay}, err1 == nil && err2 == nil
}

// maxPlaces bounds how many places of a user are told: the newest.
const maxPlaces = 8

// placed returns the JSON of a user with the places of ",life,life,", each once.
func placed(text, lives string) string { return broker.JoinPlaces(text, placesText(lives)) }

// placer is placed for many users, of whom most are at the same places.
type placer map[string]string // by lives, what placesText says

// maxPlaced bounds what a placer knows: lives come and go.
const maxPlaced = 256

func (known placer) placed(text, lives string) string {
	places, found := known[lives]
	if !found {
		if len(known) >= maxPlaced {
			clear(known)
		}
		places = placesText(lives)
		known[lives] = places
	}
	return broker.JoinPlaces(text, places)
}

func placesText(lives string) string {
	var places []broker.Place
	for life := range strings.SplitSeq(strings.Trim(lives, ","), ",") {
		at, known := whereIs(life)
		if !known {
			continue
		}
		kept := places[:0]
		for _, p := range places {
			if p != at {
				kept = append(kept, p)
			}
		}
		places = append(kept, at)
	}
	return broker.PlacesText(places[max(0, len(places)-maxPlaces):]...)
}

// heardMember is how the scripts say, in the JSON that they push, for which lives a user is there.
const heardMember = `,"at":"`

// asHeard is placed of what a script has pushed.
func (known placer) asHeard(text string) string {
	at := strings.LastIndex(text, heardMember) // no string holds it: a quote in one has a backslash before it
	if at < 0 {
		return text
	}
	lives, _ := strings.CutSuffix(text[at+len(heardMember):], `"}`)
	return known.placed(text[:at]+"}", lives)
}
