package main

import (
	"runtime"
	"syscall"
)

// neverOrphaned makes the kernel ask a child to stop when we are gone, be it by SIGKILL. The kernel means the thread
// that started it: so all are started by one goroutine, which keeps its thread.
func neverOrphaned(attributes *syscall.SysProcAttr) {
	runtime.LockOSThread()
	attributes.Pdeathsig = syscall.SIGTERM
}
