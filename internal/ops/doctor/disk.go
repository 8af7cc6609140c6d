package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/sluicehq/sluice/internal/ops/finding"
)

// Bounds of the room that is left on a disk, in parts of it.
const (
	littleRoom = 0.10
	noRoom     = 0.03
)

// disk looks at the folder where a gateway without a NATS of its own keeps everything.
func (o *Options) disk(all *finding.List) {
	const check = "disk"
	var s syscall.Statfs_t
	err := syscall.Statfs(o.Data, &s)
	if errors.Is(err, fs.ErrNotExist) {
		all.OK(check, o.Data+" does not exist: nothing is stored on this machine")
		return
	}
	if err != nil {
		all.Warn(check, fmt.Sprintf("%s: %v", o.Data, err), "set SLUICE_DATA to a folder that this user may read")
		return
	}
	diskHasRoom(all, s.Bavail*uint64(s.Bsize), s.Blocks*uint64(s.Bsize), "of "+o.Data)
}

func diskHasRoom(all *finding.List, free, size uint64, whose string) {
	const check = "disk"
	room := float64(free) / float64(max(size, 1))
	detail := fmt.Sprintf("%s free (%.0f %%) on the disk %s", mebibytes(free), room*100, whose)
	const remedy = "free space, or lower SLUICE_EVENTS_MAX_AGE and SLUICE_EVENTS_MAX_BYTES: on a full disk nothing is stored and the gateway answers 503"
	switch {
	case room < noRoom:
		all.Fail(check, detail, remedy)
	case room < littleRoom:
		all.Warn(check, detail, remedy)
	default:
		all.OK(check, detail)
	}
}
