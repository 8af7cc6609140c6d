package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Checkpoint says that every record below an index is settled for good: they are not read again, and whole segments of
// them are dropped.
//
// When it returns, the checkpoint is synced; that costs one sync, which needs no room on the disk and which appending does
// not wait for. A crash before leaves the checkpoint before it: the records come again. A crash after it, while segments
// are being dropped, is made good at the next Open. An index below the last one settles nothing.
func (j *Journal) Checkpoint(before uint64) error {
	if next := j.Next(); before > next {
		return fmt.Errorf("a checkpoint before record %d: the journal has none from %d on", before, next)
	}
	j.settling.Lock()
	defer j.settling.Unlock()
	if j.closed {
		return ErrClosed
	}
	before = max(before, j.First())
	if err := j.checkpoint.set(before); err != nil {
		return fullOr(fmt.Errorf("cannot write the journal's checkpoint: %w", err))
	}
	j.mu.Lock()
	j.first = before
	j.mu.Unlock()
	j.retire()
	return nil
}

// checkpoint is a file with two places, written in turn: while one is being written the other one holds.
type checkpoint struct {
	file   *os.File
	turn   uint64
	before uint64
}

const (
	placeSize = 4 << 10
	placeHead = 24 // sum of the rest, 4 bytes for later, turn, before
)

// openCheckpoint reads the newest place that its checksum vouches for. None of a new file is no damage.
func openCheckpoint(path string) (c *checkpoint, damaged bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	c = &checkpoint{file: file}
	all := make([]byte, 2*placeSize)
	if _, err := file.ReadAt(all, 0); err != nil && !errors.Is(err, io.EOF) {
		damaged = true
	}
	if err := c.extend(all); err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	for _, place := range [][]byte{all[:placeSize], all[placeSize:]} {
		found, is := decodePlace(place)
		if is && found.turn > c.turn {
			found.file, c = file, found
		}
		damaged = damaged || !is && !empty(place)
	}
	return c, damaged, nil
}

// extend gives both places their blocks, so that a full disk never keeps anything from being settled. One that is full
// already may still take the first checkpoint.
func (c *checkpoint) extend(all []byte) error {
	info, err := c.file.Stat()
	if err != nil || info.Size() >= int64(len(all)) {
		return err
	}
	if _, err = c.file.WriteAt(all[info.Size():], info.Size()); err == nil {
		err = c.file.Sync()
	}
	if errors.Is(fullOr(err), ErrFull) {
		return nil
	}
	return err
}

func decodePlace(place []byte) (*checkpoint, bool) {
	if crc32.Checksum(place[4:placeHead], castagnoli) != binary.LittleEndian.Uint32(place) {
		return nil, false
	}
	c := &checkpoint{turn: binary.LittleEndian.Uint64(place[8:]), before: binary.LittleEndian.Uint64(place[16:])}
	return c, c.turn > 0
}

func empty(place []byte) bool {
	for _, b := range place {
		if b != 0 {
			return false
		}
	}
	return true
}

// set writes the place that is not the newest, and syncs it. After a failure the newest one is as before, in the file and
// here.
func (c *checkpoint) set(before uint64) error {
	turn := c.turn + 1
	place := make([]byte, placeSize)
	binary.LittleEndian.PutUint64(place[8:], turn)
	binary.LittleEndian.PutUint64(place[16:], before)
	binary.LittleEndian.PutUint32(place, crc32.Checksum(place[4:placeHead], castagnoli))
	if _, err := c.file.WriteAt(place, int64(turn%2)*placeSize); err != nil {
		return err
	}
	if err := syncData(c.file); err != nil {
		return err
	}
	c.turn, c.before = turn, before
	return nil
}
