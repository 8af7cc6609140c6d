package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatACrashLeftUnfinishedIsRemovedAndNeverAmongTheFiles(t *testing.T) {
	root := t.TempDir()
	f, err := openFolder(root)
	if err != nil {
		t.Fatal(err)
	}
	left, err := f.writeUnfinished([]byte("half"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(left, filepath.Join(root, unfinished)) {
		t.Errorf("it is at %s", left)
	}
	if _, err := openFolder(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "source=zorio"), nil, 0o600); err != nil { // in the way
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), "source=zorio/1.parquet", []byte("x")); err == nil {
		t.Error("a write that failed says nothing")
	}
	if entries, err := os.ReadDir(filepath.Join(root, unfinished)); err != nil || len(entries) != 0 {
		t.Errorf("a write that failed leaves %v, %v", entries, err)
	}
}

func TestPlacesThatCannotTakeFilesAreRefused(t *testing.T) {
	for place, want := range map[string]string{
		"./data/archive": "", "/var/archive": "", "file:///var/archive": "", "s3://name?region=x": "", "s3://name/folder/?endpoint=http://127.0.0.1:9000": "",
		"http://host/x": "SLUICE_ARCHIVE: http:// is not a place for files", "file://var/archive": "use three slashes", "s3://": "needs the name of a bucket",
		"gs://name": "s3://name?endpoint=https://storage.googleapis.com", "azblob://name": "azblob:// is not a place for files",
		"s3://name?regoin=x": `unknown parameter "regoin"`, "s3://key:secret@name": "AWS_ACCESS_KEY_ID", "s3://name?endpoint=host:9000": "not the address of an S3 service",
	} {
		err := Check(place)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", place, err)
		}
	}
}
