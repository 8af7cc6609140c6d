package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every store keeps the same promises.
func TestStores(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s3 := startS3(t)
	for _, place := range []string{root, "file://" + filepath.Join(root, "deeper", "still"), place(s3.Address, s3), place(s3.Address, s3, "/of/a/team")} {
		s, err := openStore(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		if names, err := s.list(t.Context(), "a=1/b=2/"); err != nil || len(names) != 0 {
			t.Errorf("%s: an empty store lists %v, %v", place, names, err)
		}
		for name, content := range map[string]string{"a=1/b=2/1.parquet": "old", "a=1/b=2/2.parquet": "two", "a=1/b=22/3.parquet": "three"} {
			if err := s.write(t.Context(), name, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.write(t.Context(), "a=1/b=2/1.parquet", []byte("one")); err != nil {
			t.Fatal(err)
		}
		names, err := s.list(t.Context(), "a=1/b=2/")
		if slices.Sort(names); err != nil || !slices.Equal(names, []string{"a=1/b=2/1.parquet", "a=1/b=2/2.parquet"}) {
			t.Errorf("%s: lists %v, %v", place, names, err)
		}
		if content, err := s.read(t.Context(), "a=1/b=2/1.parquet"); err != nil || string(content) != "one" {
			t.Errorf("%s: reads %q, %v", place, content, err)
		}
		if _, err := s.read(t.Context(), "a=1/b=2/9.parquet"); err == nil {
			t.Errorf("%s: reads what is not there", place)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

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
	if err := f.write(t.Context(), "source=zorio/1.parquet", []byte("x")); err == nil {
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
		err := checkPlace(place)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", place, err)
		}
	}
}
