package socket

import (
	"syscall"
	"unsafe"
)

// EpollReady returns how many descriptors of an epoll(7) are ready, and which. It does not wait.
func EpollReady(epoll uintptr, events []syscall.EpollEvent) int {
	n, _, err := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	if err != 0 {
		return 0
	}
	return int(n)
}
