//go:build !unix

package socket

import (
	"errors"
	"net"
	"syscall"
)

// Of returns nil: there is nothing here that Read and Write could use.
func Of(net.Conn) syscall.RawConn { return nil }

// TryRead, TryPeek, TryWrite, Read and Write are never called.
func TryRead(uintptr, []byte) (int, bool)        { return 0, false }
func TryPeek(uintptr, []byte) int                { return 0 }
func TryWrite(uintptr, []byte) (int, error)      { return 0, errors.ErrUnsupported }
func Read(syscall.RawConn, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func Write(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
