// Package simulation runs whole fleets on a fake clock: relays as they are shipped, from the client's
// WebSocket to the broker over Redis, with an in-process double of Redis below them (package
// fakeredis) and pipes for networks, so that hours pass in seconds. All of it is its tests.
//
// A world is made from a seed: what Redis keeps, which relays there are, who is a member, and a list of
// steps, in which members come, speak, vanish and come back, and everything fails that can. After each
// few steps all is healed, and judged by what the clients were told (package judge) and by what Redis
// holds. The steps of a world that fails are cut down to those that matter, and told as a story.
//
//	go test ./relay/broker/simulation -seed 7 -steps 80
//	go test ./relay/broker/simulation -run TestWorlds -for 1h -timeout 2h
//	go run ./relay/broker/simulation/replay -seed 7 -steps 80
//
// The last repeats exactly, and slowly: see package replay.
package simulation
