package journal

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// frame is what stands before a record on disk, in 40 bytes, little endian. Zeros follow the record, up to a multiple of 8.
// Both sums are CRC-32C and begin with the segment's seed: what a file still holds from before it was written over does
// not match, and nobody who sends a record can make one that looks like a frame.
//
//	 0  sum of the next 36 bytes
//	 4  sum of the record
//	 8  index
//	16  time of its append, nanoseconds since 1970
//	24  length
//	28  how many records of its group follow it, or sealed
//	32  how many records of its group are before it
//	36  zeros
type frame struct {
	sum    uint32 // of the record
	index  uint64
	time   int64
	length uint32
	rest   uint32
	place  uint32
}

const (
	headSize  = 40
	alignment = 8
	sealed    = math.MaxUint32 // no record: all before it is synced, nothing follows
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// group is the index of the first record of its group.
func (f frame) group() uint64 { return f.index - uint64(f.place) }

// size is what it and its record take.
func (f frame) size() int64 { return frameSize(int(f.length)) }

func frameSize(length int) int64 {
	return headSize + (int64(length)+alignment-1)/alignment*alignment
}

// appendFrame appends a record as it is on disk. It completes the frame: length and sum are the record's.
func appendFrame(to []byte, seed uint32, f frame, content []byte) []byte {
	begin := len(to)
	to = append(to, make([]byte, headSize)...)
	head := to[begin:]
	binary.LittleEndian.PutUint32(head[4:], crc32.Update(seed, castagnoli, content))
	binary.LittleEndian.PutUint64(head[8:], f.index)
	binary.LittleEndian.PutUint64(head[16:], uint64(f.time))
	binary.LittleEndian.PutUint32(head[24:], uint32(len(content)))
	binary.LittleEndian.PutUint32(head[28:], f.rest)
	binary.LittleEndian.PutUint32(head[32:], f.place)
	binary.LittleEndian.PutUint32(head, crc32.Update(seed, castagnoli, head[4:headSize]))
	to = append(to, content...)
	return append(to, make([]byte, int(frameSize(len(content)))-headSize-len(content))...)
}

// decodeFrame reads a head, without a look at its sum.
func decodeFrame(head []byte) frame {
	return frame{
		sum:    binary.LittleEndian.Uint32(head[4:]),
		index:  indexOf(head),
		time:   int64(binary.LittleEndian.Uint64(head[16:])),
		length: binary.LittleEndian.Uint32(head[24:]),
		rest:   binary.LittleEndian.Uint32(head[28:]),
		place:  binary.LittleEndian.Uint32(head[32:]),
	}
}

func indexOf(head []byte) uint64 { return binary.LittleEndian.Uint64(head[8:]) }

// headMatches reports whether a head is as it was written.
func headMatches(head []byte, seed uint32) bool {
	return crc32.Update(seed, castagnoli, head[4:headSize]) == binary.LittleEndian.Uint32(head)
}
