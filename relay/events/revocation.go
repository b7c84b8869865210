package events

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
)

// madeUp is the form of the ids that relays make up for guests and sessions.
var madeUp = regexp.MustCompile(`^[\w-]{16}$`)

// CheckUser returns an error if the public id can be nobody's.
func CheckUser(id string) error {
	guest, isGuest := strings.CutPrefix(id, auth.GuestPrefix)
	if isGuest && !madeUp.MatchString(guest) {
		return errors.New("user is no guest's id: that is " + auth.GuestPrefix + " and 16 characters")
	}
	if isGuest {
		return nil
	}
	if id == "" {
		return errors.New("user must have 1 to 128 bytes")
	}
	if _, err := auth.UserID(id); err != nil {
		return fmt.Errorf("user is no user's id: %w", err)
	}
	return nil
}

// CheckSession returns an error if a session can't have the id.
func CheckSession(id string) error {
	if !madeUp.MatchString(id) {
		return errors.New("session is the sid of CONNECT's answer, that is socket.id, of 16 characters; not Engine.IO's, nor the pid")
	}
	return nil
}

// CheckRevocation returns an error if the revocation would end nothing, since what it names can be nobody's.
func CheckRevocation(r broker.Revocation) error {
	switch {
	case r.User != "":
		return CheckUser(r.User)
	case r.Token != "":
		if err := auth.CheckTokenID(r.Token); err != nil {
			return fmt.Errorf("jti is no token's id: %w", err)
		}
	case r.Session != "":
		return CheckSession(r.Session)
	}
	return nil
}

// CheckMute returns an error if nobody is called so, or no room, other than an empty one, which stands for all.
func CheckMute(user, room string) error {
	if room != "" {
		return cmp.Or(CheckUser(user), checkRoom(room))
	}
	return CheckUser(user)
}

// EndOfSecond returns when the second of a time is over: tokens are issued in whole seconds, and those of
// this one look older than now.
func EndOfSecond(t time.Time) time.Time { return t.Add(time.Second - 1).Truncate(time.Second) }
