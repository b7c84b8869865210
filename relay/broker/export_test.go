package broker

// Rooms counts the rooms of which anything is kept.
func (b *Memory) RoomsKept() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rooms)
}

// Sessions counts the sessions of which anything is kept.
func (b *Memory) Sessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions)
}
