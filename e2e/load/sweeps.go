//go:build linux

package main

// sweeps returns what grows, and how far.
func sweeps(o *options) []sweep {
	out := []sweep{byMembers(), byRooms(), byConnections(), byPayload(), byRelays()}
	for i := range out {
		for j := range out[i].points {
			out[i].points[j].plan.shrink(o.scale)
		}
	}
	return out
}

// ofDelivery are the lines of what a delivery costs.
func ofDelivery() []line {
	const cost = "CPU s a million deliveries"
	return []line{{"relays", theRelays, "fan-out", cost}, {"Redis", theRelays, "fan-out", cost + ": Redis"},
		{"bare limit", theLimit, "fan-out", cost}}
}

const perDelivery = "CPU µs per delivery"

// byMembers is one room that grows: 20,000 deliveries a second, but no more messages than 500, and no fewer than 4.
func byMembers() (s sweep) {
	s.name, s.x = "members", "members of a room"
	for _, n := range []int{10, 100, 1000, 5000, 15_000} {
		rate := max(4, min(500, 20_000/n))
		s.points = append(s.points, point{float64(n), plan{clients: n, members: n, publishers: min(n, 8), limit: true,
			steps: []step{enter, fanOut(rate), latency(max(1, rate/5))}}})
	}
	s.charts = []chart{
		{"members.svg", "One room on two relays, about 20,000 deliveries/s", perDelivery, ofDelivery()},
		{"latency.svg", "One room on two relays, about 4,000 deliveries/s", "ms from relay to relay", []line{
			{"relays, p99", theRelays, "latency", "across relays, p99 ms"}, {"relays, p50", theRelays, "latency", "across relays, p50 ms"},
			{"bare limit, p99", theLimit, "latency", "across relays, p99 ms"}, {"bare limit, p50", theLimit, "latency", "across relays, p50 ms"}}}}
	return s
}

// byRooms is more and more rooms of two members, at 1,000 messages a second over them all.
func byRooms() (s sweep) {
	s.name, s.x = "rooms", "rooms"
	for _, n := range []int{10, 100, 1000, 10_000, 100_000} {
		s.points = append(s.points, point{float64(n), plan{clients: 2 * min(n, 1000), members: 2, rooms: n, publishers: 1, bounded: true,
			steps: []step{comeIn, fanOut(min(1000, 80*n))}}})
	}
	s.charts = []chart{
		{"rooms.svg", "Rooms of two members on two relays, 1,000 messages/s over all", perDelivery, ofDelivery()[:2]},
		{"rooms-memory.svg", "Rooms of two members on two relays", "MiB", []line{
			{"relays", theRelays, "all in: relays MiB", ""}, {"Redis", theRelays, "all in: Redis MiB", ""}}}}
	return s
}

// byConnections is one relay that fills up.
func byConnections() (s sweep) {
	s.name, s.x = "connections", "connections of one relay"
	for _, n := range []int{1000, 5000, 10_000, 15_000, 19_000} {
		s.points = append(s.points, point{float64(n), plan{clients: n, members: 10, publishers: 2, relays: 1, collects: true, bounded: true,
			steps: []step{comeIn, collected, fanOut(1000)}}})
	}
	s.charts = []chart{
		{"connections.svg", "Idle clients in rooms of 10", "MiB of the relay", []line{
			{"as it stands", theRelays, "all in: relays MiB", ""}, {"after GC", theRelays, "all in, after GC: relays MiB", ""}}},
		{"connect.svg", "Clients that come 32 at a time", "CPU µs per connect + join", []line{
			{"relay", theRelays, "all in: CPU µs a client", ""}, {"Redis", theRelays, "all in: CPU µs a client", "Redis"}}},
		{"connections-cpu.svg", "Rooms of 10, 1,000 messages/s", perDelivery, ofDelivery()[:2]}}
	return s
}

// byPayload is one room of 100, 20 messages a second.
func byPayload() (s sweep) {
	s.name, s.x = "payload", "bytes of payload"
	for _, n := range []int{16, 128, 1024, 8192, 65_536} {
		s.points = append(s.points, point{float64(n), plan{clients: 100, members: 100, publishers: 8, payload: n, limit: true,
			steps: []step{enter, fanOut(20)}}})
	}
	s.charts = []chart{{"payload.svg", "One room of 100 on two relays, 20 messages/s", perDelivery, ofDelivery()}}
	return s
}

// byRelays is the same load on more and more relays.
func byRelays() (s sweep) {
	s.name, s.x = "relays", "relays"
	for n := 1; n <= 4; n++ {
		s.points = append(s.points, point{float64(n), plan{clients: 3000, members: 12, publishers: 2, relays: n, bounded: true,
			steps: []step{comeIn, fanOut(1500)}}})
	}
	s.charts = []chart{
		{"relays.svg", "250 rooms of 12, spread over all relays, 1,500 messages/s", perDelivery + ", all relays together", ofDelivery()[:2]}}
	return s
}
