package main

import (
	"fmt"
	"io"
	"log"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// mount is the disk in its place among the folders.
type mount struct {
	folder string
	disk   *disk
	server *fuse.Server
}

func mountAt(folder string, d *disk) (*mount, error) {
	m := &mount{folder: folder, disk: d}
	return m, m.mount()
}

func (m *mount) mount() (err error) {
	second := time.Second // the kernel may remember names and attributes: nobody else changes them
	m.server, err = fs.Mount(m.folder, &node{disk: m.disk, inode: m.disk.root}, &fs.Options{
		EntryTimeout: &second, AttrTimeout: &second, RootStableAttr: &fs.StableAttr{Ino: m.disk.root.id},
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "powercut", Name: "powercut", DisableXAttrs: true,
			Logger: log.New(io.Discard, "", 0)}, // it complains about each request that a cut leaves without an answer
	})
	if err != nil {
		return fmt.Errorf("mount at %s: %w: run it as root, or in a user namespace", m.folder, err)
	}
	return nil
}

// again mounts the disk anew after a cut. Who has files of it open gets errors for ever.
func (m *mount) again() error {
	if err := m.unmount(); err != nil {
		return err
	}
	m.disk.restore()
	return m.mount()
}

// unmount ends it, whoever uses it, and waits for what is being done.
func (m *mount) unmount() error {
	if err := syscall.Unmount(m.folder, syscall.MNT_FORCE|syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", m.folder, err)
	}
	m.server.Wait()
	return nil
}
