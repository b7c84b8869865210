//go:build !linux

package engine

// poller is for Linux alone: elsewhere a goroutine waits for each client.
type poller struct{}

func (p *poller) arm(*webSocketTransport) bool { return false }
func (p *poller) remove(*webSocketTransport)   {}
func (p *poller) close()                       {}
