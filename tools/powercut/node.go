package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node answers the kernel for a file or folder.
type node struct {
	fs.Inode
	disk  *disk
	inode *inode
}

var _ interface {
	fs.NodeStatfser
	fs.NodeLookuper
	fs.NodeReaddirer
	fs.NodeCreater
	fs.NodeMkdirer
	fs.NodeUnlinker
	fs.NodeRmdirer
	fs.NodeRenamer
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeAllocater
	fs.NodeFsyncer
} = (*node)(nil)

// handle is an open file.
type handle struct{ synced bool } // each write, before it returns

func opened(flags uint32) *handle {
	return &handle{flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0}
}

// room is how much the disk says that it holds, and that is free.
const room = 16 << 30

// Statfs implements [fs.NodeStatfser].
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	*out = fuse.StatfsOut{Bsize: page, Frsize: page, Blocks: room / page, Bfree: room / page, Bavail: room / page, NameLen: 255}
	return 0
}

// child is the node of what a name stands for.
func (n *node) child(ctx context.Context, of *inode, out *fuse.EntryOut) *fs.Inode {
	of.attributes(&out.Attr)
	return n.NewInode(ctx, &node{disk: n.disk, inode: of}, fs.StableAttr{Mode: of.mode & syscall.S_IFMT, Ino: of.id})
}

var owner = fuse.Owner{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}

func (n *inode) attributes(out *fuse.Attr) {
	*out = fuse.Attr{Ino: n.id, Size: uint64(n.file.now.size), Blocks: uint64(n.file.now.size+511) / 512, Mode: n.mode, Nlink: 1, Owner: owner, Blksize: page}
	out.SetTimes(&n.mtime, &n.mtime, &n.mtime)
}

// Lookup implements [fs.NodeLookuper].
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.disk.use(func() syscall.Errno {
		of, found := n.inode.names[name]
		if !found {
			return syscall.ENOENT
		}
		child = n.child(ctx, of, out)
		return 0
	})
	return child, errno
}

// Readdir implements [fs.NodeReaddirer].
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	var list []fuse.DirEntry
	errno := n.disk.use(func() syscall.Errno {
		for _, name := range slices.Sorted(maps.Keys(n.inode.names)) {
			list = append(list, fuse.DirEntry{Name: name, Mode: n.inode.names[name].mode, Ino: n.inode.names[name].id})
		}
		return 0
	})
	return fs.NewListDirStream(list), errno
}

// Create implements [fs.NodeCreater].
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, errno := n.create(ctx, name, syscall.S_IFREG|mode, out)
	return child, opened(flags), 0, errno
}

// Mkdir implements [fs.NodeMkdirer].
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.create(ctx, name, syscall.S_IFDIR|mode, out)
}

func (n *node) create(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.disk.use(func() syscall.Errno {
		if _, taken := n.inode.names[name]; taken {
			return syscall.EEXIST
		}
		child = n.child(ctx, n.disk.create(n.inode, name, mode), out)
		return 0
	})
	return child, errno
}

// Unlink implements [fs.NodeUnlinker].
func (n *node) Unlink(_ context.Context, old string) syscall.Errno { return n.remove(old) }

// Rmdir implements [fs.NodeRmdirer].
func (n *node) Rmdir(_ context.Context, old string) syscall.Errno { return n.remove(old) }

func (n *node) remove(old string) syscall.Errno {
	return n.disk.use(func() syscall.Errno {
		switch of, found := n.inode.names[old]; {
		case !found:
			return syscall.ENOENT
		case len(of.names) > 0:
			return syscall.ENOTEMPTY
		}
		n.disk.rename(nil, name{n.inode, old, nil})
		return 0
	})
}

// Rename implements [fs.NodeRenamer].
func (n *node) Rename(_ context.Context, old string, parent fs.InodeEmbedder, as string, flags uint32) syscall.Errno {
	into := parent.(*node).inode
	return n.disk.use(func() syscall.Errno {
		switch of, taken := into.names[as]; {
		case flags != 0:
			return syscall.EINVAL
		case n.inode.names[old] == nil:
			return syscall.ENOENT
		case taken && len(of.names) > 0:
			return syscall.ENOTEMPTY
		}
		n.disk.rename(nil, name{n.inode, old, nil}, name{into, as, n.inode.names[old]})
		return 0
	})
}

// Getattr implements [fs.NodeGetattrer].
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.disk.use(func() syscall.Errno {
		n.inode.attributes(&out.Attr)
		return 0
	})
}

// Setattr implements [fs.NodeSetattrer].
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return n.disk.use(func() syscall.Errno {
		if mode, ok := in.GetMode(); ok {
			n.inode.mode = n.inode.mode&syscall.S_IFMT | mode&0o7777
		}
		if mtime, ok := in.GetMTime(); ok {
			n.inode.mtime = mtime
		}
		if size, ok := in.GetSize(); ok {
			n.resize(int(size))
		}
		n.inode.attributes(&out.Attr)
		return 0
	})
}

func (n *node) resize(size int) {
	if size != n.inode.file.now.size {
		n.disk.write(n.inode, 0, nil, size)
	}
}

// Open implements [fs.NodeOpener].
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	errno := n.disk.use(func() syscall.Errno {
		if flags&syscall.O_TRUNC != 0 {
			n.resize(0)
		}
		return 0
	})
	return opened(flags), fuse.FOPEN_KEEP_CACHE, errno
}

// Read implements [fs.NodeReader].
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	var read int
	errno := n.disk.use(func() syscall.Errno {
		read = n.inode.file.now.read(dest, int(off))
		return 0
	})
	return fuse.ReadResultData(dest[:read]), errno
}

// Write implements [fs.NodeWriter].
func (n *node) Write(_ context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	errno := n.disk.use(func() syscall.Errno {
		n.disk.write(n.inode, int(off), data, max(n.inode.file.now.size, int(off)+len(data)))
		return 0
	})
	if errno == 0 && f.(*handle).synced {
		errno = n.disk.sync(n.inode)
	}
	return uint32(len(data)), errno
}

// Allocate implements [fs.NodeAllocater]. There is always room, so it only makes a file longer where that is asked for.
func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	return n.disk.use(func() syscall.Errno {
		switch mode {
		case keepSize:
			return 0
		case 0:
			n.resize(max(n.inode.file.now.size, int(off+size)))
			return 0
		default:
			return syscall.EOPNOTSUPP
		}
	})
}

const keepSize = 1 // FALLOC_FL_KEEP_SIZE

// Fsync implements [fs.NodeFsyncer], for files and folders.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.sync(n.inode)
}
