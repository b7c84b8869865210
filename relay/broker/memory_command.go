package broker

import "context"

// Command implements Broker: there is one relay.
func (b *Memory) Command(ctx context.Context, text string) (Answers, error) {
	f, err := b.commanded()
	if err != nil {
		return Answers{Unreached: 1}, err
	}
	ctx, cancel := context.WithTimeout(ctx, CommandTimeout)
	defer cancel()
	return Answers{Texts: []string{f(ctx, text)}}, nil
}

// Tell implements Broker.
func (b *Memory) Tell(text string) error {
	b.telling.Lock() // in their order
	defer b.telling.Unlock()
	f, err := b.commanded()
	if err == nil {
		f(context.Background(), text)
	}
	return err
}

// commanded returns what OnCommand was given.
func (b *Memory) commanded() (func(context.Context, string) string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, ErrClosed
	case b.command == nil:
		return nil, ErrUnavailable
	}
	return b.command, nil
}

// OnCommand implements Broker.
func (b *Memory) OnCommand(f func(ctx context.Context, text string) (answer string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.command = f
}
