package broker

import (
	"context"
	"slices"
)

// Rooms implements Broker. The cursor is the last room that was listed.
func (b *Memory) Rooms(_ context.Context, cursor string, limit int) (rooms []RoomCount, next string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, "", ErrClosed
	}
	for name, r := range b.rooms {
		if len(r.users) > 0 && name > cursor {
			rooms = append(rooms, RoomCount{name, len(r.users)})
		}
	}
	slices.SortFunc(rooms, func(x, y RoomCount) int {
		if x.Room < y.Room {
			return -1
		}
		return 1
	})
	if len(rooms) > limit {
		rooms = rooms[:limit]
		next = rooms[limit-1].Room
	}
	return rooms, next, nil
}
