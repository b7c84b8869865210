//go:build unix

package wiretest

import (
	"fmt"
	"syscall"
)

// HoldPort returns an address on loopback that nobody is given who did not ask for it, until it is released:
// whoever listens there, as servers do (with SO_REUSEADDR), may end and begin anew as often as it
// likes. A port that is found free and let go of may be another's by the time it is used.
func HoldPort() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", nil, fmt.Errorf("holding a port: %w", err)
	}
	syscall.CloseOnExec(fd)
	release = func() { _ = syscall.Close(fd) }
	port, err := bindAnywhere(fd)
	if err != nil {
		release()
		return "", nil, fmt.Errorf("holding a port: %w", err)
	}
	return fmt.Sprint("127.0.0.1:", port), release, nil
}

func bindAnywhere(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return at.(*syscall.SockaddrInet4).Port, nil
}
