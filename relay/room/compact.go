package room

import (
	"bytes"
	"slices"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// compact returns a message's frame for clients that asked for compact ones: without what follows from
// the rest. The object lacks its offset, which comes after it, and what its user's id says. here is how the
// relay's own region stands in a user, or empty.
func compact(f *engineio.Frame, here string) *engineio.Frame {
	packet, offset := f.Packet(), FrameOffset(f)
	end := len(packet) - len(`,"offset":"`+offset+`"},"`+offset+`"]`)
	data := bytes.Index(packet, []byte(dataMember))
	if data < 0 || end < data {
		return f
	}
	return engineio.NewFrame(len(packet), func(dst []byte) []byte {
		dst = appendCompactUser(dst, packet[:data], here)
		dst = append(dst, packet[data:end]...)
		return append(append(append(dst, `},"`...), offset...), `"]`...)
	}, slices.Collect(f.Attachments())...).At(f.Pos())
}

// appendCompactUser writes what comes before a message's data, which ends with the user that it is from:
// without guest, as it begins the ids of guests alone, without the name that the relay made up for a
// guest, from the id, and without the relay, which is of less interest than the region; without that, too, if
// it is this relay's. Then no region is said to be none.
func appendCompactUser(dst, head []byte, here string) []byte {
	const from = `"from":{"id":"`
	at := bytes.Index(head, []byte(from)) // no string holds it: a quote in one has a backslash before it
	if at < 0 {
		return append(dst, head...)
	}
	at += len(from)
	id, rest, _ := bytes.Cut(head[at:], []byte(`"`))
	isGuest := bytes.HasPrefix(id, []byte(broker.GuestPrefix))
	flag := `,"guest":false}`
	if isGuest {
		flag = `,"guest":true}`
	}
	name, place, ok := bytes.Cut(rest, []byte(flag[:len(flag)-1])) // no string holds it either
	region, isPlace := cutRelay(place)
	if !ok || !isPlace {
		return append(dst, head...)
	}
	if isGuest && string(name) == `,"name":"`+broker.GuestName(string(id))+`"` {
		name = nil
	}
	switch {
	case here == "":
	case string(region) == here:
		region = nil
	case len(region) == 0:
		region = []byte(regionMember + `""`)
	}
	return append(append(append(append(append(dst, head[:at]...), id...), '"'), name...), append(slices.Clip(region), '}')...)
}

// regionMember begins what a user says of the region.
const regionMember = `,"region":`

// cutRelay returns what ends a user, `,"region":"…","relay":"…"}`, without the relay and the brace. It
// reports false if that is something else.
func cutRelay(place []byte) (region []byte, ok bool) {
	if region, ok = bytes.CutSuffix(place, []byte("}")); !ok || len(region) == 0 {
		return region, ok
	}
	const member = `,"relay":"`
	if at := bytes.LastIndex(region, []byte(member)); at >= 0 { // no string holds it
		if bytes.IndexByte(region[at+len(member):], '"') != len(region)-at-len(member)-1 {
			return nil, false // more comes after it, or it is escaped
		}
		region = region[:at]
	}
	return region, len(region) == 0 || bytes.HasPrefix(region, []byte(regionMember))
}
