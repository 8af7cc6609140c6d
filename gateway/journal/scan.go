package journal

import (
	"errors"
	"hash/crc32"
	"io"
)

// record is one that its checksums vouch for. Its content is valid until the next one is read.
type record struct {
	frame
	offset  int64
	content []byte
}

// damage is a stretch of a segment that holds no record, though some were written there.
type damage struct {
	offset, bytes int64
	first         uint64 // the index of the first that is missing
	records       uint64
}

// scanner reads the records of one segment in their order.
type scanner struct {
	window window
	seed   uint32
	at     int64  // where the next frame is expected
	end    int64  // no record reaches beyond it
	want   uint64 // the index that is expected
	bound  uint64 // no record has it, or a greater one

	reached int64 // the end of the last thing that looks like a frame, whole or not
}

// next is the next record, and what is damaged before it. When there is none any more, the damage reaches to the end.
func (s *scanner) next() (r record, lost damage, found bool) {
	lost = damage{offset: s.at, first: s.want}
	for {
		f, is := s.seek(lost)
		if !is {
			break
		}
		r = record{f, s.at, s.window.at(s.at+headSize, int(f.length))}
		s.at += f.size()
		s.want = f.index + 1
		if crc32.Update(s.seed, castagnoli, r.content) == f.sum {
			lost.bytes, lost.records = r.offset-lost.offset, f.index-lost.first
			return r, lost, true
		}
	}
	lost.bytes, lost.records = s.end-lost.offset, s.bound-lost.first
	return record{}, lost, false
}

// seek goes to the next frame that is whole: most often it is right here.
func (s *scanner) seek(lost damage) (f frame, found bool) {
	for s.at+headSize <= s.end && s.want < s.bound {
		if f, found = s.frame(lost); found {
			return f, true
		}
		s.at += alignment
		s.skip()
	}
	return frame{}, false
}

// frame is the one at this place, if one is: with an index that can stand here, and room for its record.
func (s *scanner) frame(lost damage) (f frame, is bool) {
	head := s.window.at(s.at, headSize)
	f = decodeFrame(head)
	most := lost.first + uint64(s.at-lost.offset)/headSize
	if f.index < s.want || f.index > most || f.index >= s.bound {
		return f, false
	}
	s.reached = s.at + headSize
	if s.at+f.size() > s.end || !headMatches(head, s.seed) {
		return f, false
	}
	s.reached = s.at + f.size()
	return f, true
}

// skip passes over what is in memory and cannot be a frame, by its index. Most of a new segment is that.
func (s *scanner) skip() {
	ahead, records := s.window.ahead(s.at), uint64(s.end)/headSize
	for ; len(ahead) >= headSize && indexOf(ahead)-s.want > records; ahead = ahead[alignment:] {
		s.at += alignment
	}
}

// window reads a file in pieces, so that memory is bounded by one piece or one record.
type window struct {
	file   io.ReaderAt
	end    int64 // of what is read
	offset int64 // of what is in memory
	bytes  []byte
	err    error // what could not be read
}

const (
	pieceSize = 256 << 10
	pageSize  = 4 << 10
)

// at is what a file has at an offset, valid until the next call. What is beyond the file, or cannot be read, is zeros,
// which no checksum vouches for.
func (w *window) at(offset int64, n int) []byte {
	if offset < w.offset || offset+int64(n) > w.offset+int64(len(w.bytes)) {
		w.fill(offset, max(n, int(min(pieceSize, w.end-offset))))
	}
	return w.bytes[offset-w.offset:][:n]
}

// ahead is what is in memory from an offset on.
func (w *window) ahead(offset int64) []byte {
	return w.bytes[min(int64(len(w.bytes)), max(0, offset-w.offset)):]
}

func (w *window) fill(offset int64, n int) {
	if n > cap(w.bytes) {
		w.bytes = make([]byte, n)
	}
	w.offset, w.bytes = offset, w.bytes[:n]
	if err := readOrZero(w.file, w.bytes, offset); err == nil {
		return
	}
	for i := 0; i < n; i += pageSize { // one bad block of the disk costs its page
		if err := readOrZero(w.file, w.bytes[i:min(n, i+pageSize)], offset+int64(i)); err != nil {
			w.err = err
		}
	}
}

func readOrZero(file io.ReaderAt, into []byte, offset int64) error {
	n, err := file.ReadAt(into, offset)
	if clear(into[n:]); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
