package events

import (
	"testing"

	"setu/relay/auth"
	"setu/relay/broker"
)

// Tokens name nobody whose id begins as guests' do, and compact messages rely on it.
func TestGuestPrefix(t *testing.T) {
	if broker.GuestPrefix != auth.GuestPrefix {
		t.Errorf("%q, and %q", broker.GuestPrefix, auth.GuestPrefix)
	}
	var who identity
	if err := who.asGuest(nil, nil); err != nil || who.user.Name != broker.GuestName(who.user.ID) {
		t.Errorf("%+v, %v", who.user, err)
	}
}
