//go:build !linux

package main

import "syscall"

// neverOrphaned does nothing where the kernel cannot tell children of our end.
func neverOrphaned(*syscall.SysProcAttr) {}
