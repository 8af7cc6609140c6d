package journal

// tail is the end of a segment that was being written to.
type tail struct {
	end  int64    // of the last whole group
	next uint64   // the index after it
	torn int64    // how many bytes behind the end look as if they were records once
	lost []damage // before the end
}

// tail reads a segment to its end. A group that another one follows was synced: what is missing in it is damage. The last
// group was perhaps not synced: it counts when all of it is there.
func (s *scanner) tail() (t tail) {
	t.next = s.want
	var lost []damage
	group, whole := s.want, true // what is being read
	for r, gap, found := s.next(); found; r, gap, found = s.next() {
		if gap.records > 0 {
			lost = append(lost, gap)
		}
		switch {
		case r.rest == sealed:
			return tail{end: s.at, next: r.index, lost: lost}
		case r.place == 0:
			t.end, t.next, group, whole = r.offset, r.index, r.index, true
		case r.group() != group:
			t.end, t.next, group, whole = gap.offset, r.group(), r.group(), false
		case gap.records > 0:
			whole = false
		}
		if whole && r.rest == 0 {
			t.end, t.next = s.at, s.want
		}
	}
	for _, gap := range lost {
		if gap.offset < t.end {
			t.lost = append(t.lost, gap)
		}
	}
	t.torn = max(0, s.reached-t.end)
	return t
}
