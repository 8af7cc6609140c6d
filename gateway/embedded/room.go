package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/sluicehq/sluice/internal/stream"
)

// Room is the disk space of the embedded server: what was free when it started, and what its streams used by then. It
// is safe for concurrent use.
type Room struct {
	dir          string
	disk         int64 // bytes
	size, filled int64 // bytes
}

// The parts of a room.
const (
	leastReserve = 64 << 20
	mostReserve  = 1 << 30
	others       = 2 << 30 // for what is not EVENTS, where the room is large
)

// NewRoom measures the room of the server whose data folder is dir, on whose disk others will take so many bytes.
func NewRoom(dir string, beside int64) (*Room, error) {
	free, disk, err := space(dir)
	if err != nil {
		return nil, fmt.Errorf("the disk of %s (SLUICE_DATA): %w", dir, err)
	}
	filled, err := sizeOf(filepath.Join(dir, "jetstream"))
	return &Room{dir: dir, disk: disk, size: max(0, free+filled-beside), filled: filled}, err
}

// Events is how many bytes of it EVENTS may fill: the rest is for what teams and operators write, and for the reserve.
func (r *Room) Events() int64 { return max(r.size/2, r.size/5*4-others) }

// Reserve is what deliveries leave free, in bytes: JetStream stops for good on a disk that is full to its last byte, and
// teams need room to retry, to give up and to note what they did.
func (r *Room) Reserve() int64 { return max(min(r.size/20, mostReserve), min(r.disk/20, leastReserve)) }

// Left is how many bytes deliveries may fill yet.
func (r *Room) Left() (int64, error) {
	free, _, err := space(r.dir)
	return max(0, free-r.Reserve()), err
}

// Full is [stream.ErrNoRoom] when only the reserve is left.
func (r *Room) Full() error { return r.below(r.Reserve()) }

// Low is stream.ErrNoRoom too, but long before the room is used up.
func (r *Room) Low() error { return r.below(max(r.size/20*3, r.Reserve())) }

func (r *Room) below(bytes int64) error {
	free, _, err := space(r.dir)
	if err != nil || free >= bytes {
		return err
	}
	return fmt.Errorf("%w: %.1f MiB are free on the disk of %s (SLUICE_DATA), and %.1f MiB must stay free: make room, or lower SLUICE_EVENTS_MAX_BYTES",
		stream.ErrNoRoom, mebibytes(free), r.dir, mebibytes(r.Reserve()))
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// space is what is free on the disk of a folder, and the size of that disk, in bytes.
func space(dir string) (free, disk int64, err error) {
	var s syscall.Statfs_t
	err = syscall.Statfs(dir, &s)
	return int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize, err
}

// sizeOf is how many bytes the files of a folder have; one that is not there has none. What vanishes meanwhile does not
// count.
func sizeOf(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, err
}
