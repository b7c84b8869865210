package wiretest

// Unlimited returns the settings of a relay that takes any load: tests have all clients on one address,
// and some of them send as much as they can.
func Unlimited() []string {
	return []string{"PUBLISH_RATE=off", "SIGNAL_RATE=off", "JOIN_RATE=off", "HISTORY_RATE=off", "EVENT_RATE=off", "BYTES_RATE=off",
		"USER_PUBLISH_RATE=off", "USER_SIGNAL_RATE=off", "USER_JOIN_RATE=off", "USER_HISTORY_RATE=off",
		"HANDSHAKE_RATE=off", "HANDSHAKES_RATE=off", "MAX_ADDRESS_CONNECTIONS=0", "MAX_UNCONNECTED=0", "MAX_USER_CONNECTIONS=0"}
}
