package relay

import "fmt"

// spareFiles is how many files and connections a relay may have open beside those of its clients:
// those to Redis and other relays, what the page loads, requests under way.
const spareFiles = 500

// CheckFiles returns an error if this process may not open as many files as MaxConnections take.
func (c Config) CheckFiles() error {
	limit, ok := openFiles()
	if !ok || limit >= uint64(c.MaxConnections)+spareFiles {
		return nil
	}
	return fmt.Errorf("the limit on open files is %d, too low for MAX_CONNECTIONS=%d and %d more: raise it (ulimit -n, LimitNOFILE), or lower MAX_CONNECTIONS",
		limit, c.MaxConnections, spareFiles)
}
