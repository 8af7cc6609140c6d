package settings

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size. It reads and writes itself as a number of bytes or with a unit: 512, 64KiB, 1MiB, 20GB.
type Bytes int64

var units = []struct {
	name string
	size int64
}{ // of two that fit, the larger is written; longer names come before their tails
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// UnmarshalText reads a whole number with or without a unit, in upper or lower case.
func (b *Bytes) UnmarshalText(text []byte) error {
	digits, size := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units {
		if head, found := cutSuffixFold(digits, u.name); found {
			digits, size = strings.TrimSpace(head), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/size {
		return fmt.Errorf("%q is not a size: use a number of bytes, or one with KiB, MiB, GiB", text)
	}
	*b = Bytes(n * size)
	return nil
}

func cutSuffixFold(s, suffix string) (head string, found bool) {
	cut := len(s) - len(suffix)
	if cut < 0 || !strings.EqualFold(s[cut:], suffix) {
		return s, false
	}
	return s[:cut], true
}

// String writes the size in the largest binary unit that keeps it whole.
func (b Bytes) String() string {
	for _, u := range units {
		if strings.HasSuffix(u.name, "iB") && b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
