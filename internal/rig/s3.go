package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// S3 is an S3 service with one empty bucket.
type S3 struct {
	*Process
	Address        string
	Bucket         string
	Access, Secret string // the credentials that it takes
	root           string
}

// The credentials of every S3 service.
const (
	S3Access = "sluice-tests"
	S3Secret = "a-secret-for-tests-alone"
)

// StartS3 starts an S3 service on a free port, whose buckets are folders of the test.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	s := &S3{Address: Address(t), Bucket: "archive", Access: S3Access, Secret: S3Secret, root: t.TempDir()}
	for _, dir := range []string{"buckets", "metadata"} {
		if err := os.Mkdir(filepath.Join(s.root, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	s.MakeBucket()
	s.Process = Start(t, Tool(t, "github.com/versity/versitygw/cmd/versitygw"), []string{
		"--port", s.Address, "--quiet", "posix", "--sidecar", filepath.Join(s.root, "metadata"), filepath.Join(s.root, "buckets"),
	}, Environment("ROOT_ACCESS_KEY="+s.Access, "ROOT_SECRET_KEY="+s.Secret))
	s.Listening(s.Address)
	return s
}

// MakeBucket makes the bucket, or makes it again.
func (s *S3) MakeBucket() { _ = os.MkdirAll(s.Folder(), 0o750) }

// RemoveBucket removes the bucket with all that is in it.
func (s *S3) RemoveBucket() { _ = os.RemoveAll(s.Folder()) }

// Folder is where the bucket's objects lie, each a file of its key.
func (s *S3) Folder() string { return filepath.Join(s.root, "buckets", s.Bucket) }
