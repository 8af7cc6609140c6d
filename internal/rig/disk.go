package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Disk is a disk of its own, small enough to be filled.
type Disk struct {
	t    testing.TB
	Path string // an empty folder on it
}

// SmallDisk is a disk of so many bytes, until the test ends. It is in memory, and mounted where only a process of the
// test's sees it: nothing of it is left behind, and nobody has to be root.
func SmallDisk(t testing.TB, bytes int) *Disk {
	t.Helper()
	at := t.TempDir()
	holder := exec.Command("/bin/sh", "-c", fmt.Sprintf("mount -t tmpfs -o size=%d none %s && echo mounted && exec sleep 600", bytes, at))
	var output Buffer
	holder.Stdout, holder.Stderr = &output, &output
	holder.SysProcAttr = ownMounts()
	if err := holder.Start(); err != nil {
		t.Fatalf("a small disk: %v: run the tests as root, or allow user namespaces", err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	Eventually(t, time.Minute, "a small disk is mounted (as root, or with user namespaces): "+output.String(), func() bool {
		return strings.Contains(output.String(), "mounted")
	})
	d := &Disk{t: t, Path: fmt.Sprintf("/proc/%d/root%s/data", holder.Process.Pid, at)}
	if err := os.Mkdir(d.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// ownMounts lets a process mount what nobody else sees, as root in a user namespace where the test is not root.
func ownMounts() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Fill leaves so many bytes free on it, and nothing more.
func (d *Disk) Fill(free int) {
	d.t.Helper()
	d.Empty()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.Path, &s); err != nil {
		d.t.Fatal(err)
	}
	ballast := make([]byte, max(0, int(s.Bavail)*int(s.Bsize)-free))
	if err := os.WriteFile(d.Path+"/../ballast", ballast, 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) { // others write too
		d.t.Fatal(err)
	}
}

// Empty removes what Fill wrote.
func (d *Disk) Empty() { _ = os.Remove(d.Path + "/../ballast") }
