package files

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Store keeps files by name, such as "source=zorio/event=a/date=2026-11-24/hour=08/0000000001-0000000002.parquet".
type Store interface {
	// Write makes a file. On return without an error it is complete, under its name, and as durable as the place is:
	// synced to the disk, with its folder, or accepted by the bucket. It is never visible in part, and replaces one
	// that is there. After an error it may be there or not.
	Write(ctx context.Context, name string, content []byte) error

	// List returns the names of the files whose names begin with a prefix that ends with "/".
	List(ctx context.Context, prefix string) ([]string, error)

	Read(ctx context.Context, name string) ([]byte, error)
	io.Closer
}

// Check says what is wrong with a SLUICE_ARCHIVE.
func Check(place string) error {
	scheme, rest, isURL := strings.Cut(place, "://")
	switch {
	case !isURL:
		return nil
	case scheme == "s3":
		_, err := parseBucket(place)
		return err
	case scheme == "gs":
		return fmt.Errorf("SLUICE_ARCHIVE: gs:// is not supported: use Google's S3 interface, s3://%s?endpoint=https://storage.googleapis.com with an HMAC key of Google's", rest)
	case scheme != "file":
		return fmt.Errorf("SLUICE_ARCHIVE: %s:// is not a place for files: use a folder, or a bucket of an S3 service such as s3://name?region=eu-central-1", scheme)
	case !strings.HasPrefix(rest, "/"):
		return fmt.Errorf("SLUICE_ARCHIVE: file://%s: use three slashes and the whole path, file:///var/archive", rest)
	}
	return nil
}

func Open(ctx context.Context, place string) (Store, error) {
	if path, isFile := strings.CutPrefix(place, "file://"); isFile || !strings.Contains(place, "://") {
		return openFolder(path)
	}
	return openBucket(ctx, place)
}
