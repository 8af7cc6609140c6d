package rig_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// folder is one on a disk that loses its power. Its methods fail the test when the disk does not do what they say.
type folder struct {
	t    *testing.T
	disk *rig.PoweredDisk
}

func (f folder) path(name string) string { return filepath.Join(f.disk.Path, name) }

func (f folder) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// open is for what is done to a file: "sync" to each write, "append", or nothing.
func (f folder) open(name string, flags int) *os.File {
	f.t.Helper()
	file, err := os.OpenFile(f.path(name), os.O_RDWR|os.O_CREATE|flags, 0o600)
	f.must(err)
	f.t.Cleanup(func() { _ = file.Close() })
	return file
}

func (f folder) write(name, text string) *os.File {
	f.t.Helper()
	file := f.open(name, os.O_TRUNC)
	_, err := file.WriteString(text)
	f.must(err)
	return file
}

func (f folder) sync(name string) {
	f.t.Helper()
	file, err := os.Open(f.path(name))
	f.must(err)
	f.must(file.Sync())
	f.must(file.Close())
}

func (f folder) mkdir(name string)     { f.t.Helper(); f.must(os.Mkdir(f.path(name), 0o700)) }
func (f folder) remove(name string)    { f.t.Helper(); f.must(os.Remove(f.path(name))) }
func (f folder) rename(old, as string) { f.t.Helper(); f.must(os.Rename(f.path(old), f.path(as))) }

// holds is what lies on it: names of folders with a slash, names of files with their content.
func (f folder) holds() string {
	f.t.Helper()
	var all []string
	f.must(filepath.WalkDir(f.disk.Path, func(path string, entry os.DirEntry, err error) error {
		name := strings.TrimPrefix(strings.TrimPrefix(path, f.disk.Path), "/")
		switch {
		case err != nil || name == "":
			return err
		case entry.IsDir():
			all = append(all, name+"/")
			return nil
		}
		content, err := os.ReadFile(path)
		all = append(all, fmt.Sprintf("%s=%s", name, content))
		return err
	}))
	return strings.Join(all, " ")
}

// What was synced is there after a power cut, and what was not is gone.
func TestADiskKeepsWhatWasSyncedAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(f folder)
		left string
	}{
		"a file that was synced":     {func(f folder) { f.write("a", "text"); f.sync("a") }, "a=text"},
		"a file that was not":        {func(f folder) { f.write("a", "text") }, ""},
		"a name without its content": {func(f folder) { f.write("a", "text"); f.sync("") }, "a="},
		"what came after the sync": {func(f folder) {
			file := f.write("a", "text")
			f.must(file.Sync())
			_, err := file.WriteString(" and more")
			f.must(err)
		}, "a=text"},
		"an overwritten file": {func(f folder) { f.write("a", "old"); f.sync("a"); f.write("a", "new!") }, "a=old"},
		"each write synced": {func(f folder) {
			_, err := f.open("a", os.O_SYNC).WriteString("text")
			f.must(err)
		}, "a=text"},
		"the data of each write synced": {func(f folder) {
			_, err := f.open("a", syscall.O_DSYNC).WriteString("text")
			f.must(err)
		}, "a=text"},
		"data synced, with the size that it needs": {func(f folder) { f.must(syscall.Fdatasync(int(f.write("a", "text").Fd()))) }, "a=text"},
		"cut shorter":                {func(f folder) { f.write("a", "text"); f.sync("a"); f.must(os.Truncate(f.path("a"), 1)) }, "a=text"},
		"cut shorter and synced":     {func(f folder) { f.write("a", "text"); f.must(os.Truncate(f.path("a"), 1)); f.sync("a") }, "a=t"},
		"made longer and synced":     {func(f folder) { f.write("a", "t"); f.must(os.Truncate(f.path("a"), 3)); f.sync("a") }, "a=t\x00\x00"},
		"preallocated and synced":    {func(f folder) { f.must(syscall.Fallocate(int(f.write("a", "t").Fd()), 0, 0, 3)); f.sync("a") }, "a=t\x00\x00"},
		"preallocated":               {func(f folder) { w := f.write("a", "t"); f.sync("a"); f.must(syscall.Fallocate(int(w.Fd()), 0, 0, 3)) }, "a=t"},
		"written by memory":          {func(f folder) { f.mapped("a", "text"); f.sync("a") }, "a=text"},
		"a folder":                   {func(f folder) { f.mkdir("d") }, ""},
		"a folder that was synced":   {func(f folder) { f.mkdir("d"); f.sync("") }, "d/"},
		"a synced file in a new one": {func(f folder) { f.mkdir("d"); f.mkdir("d/e"); f.write("d/e/a", "text"); f.sync("d/e/a") }, "d/ d/e/ d/e/a=text"},
		"removed":                    {func(f folder) { f.write("a", "text"); f.sync("a"); f.remove("a") }, "a=text"},
		"removed and synced":         {func(f folder) { f.write("a", "text"); f.sync("a"); f.remove("a"); f.sync("") }, ""},
		"a folder removed":           {func(f folder) { f.mkdir("d"); f.sync(""); f.remove("d") }, "d/"},
		"renamed":                    {func(f folder) { f.write("a", "text"); f.sync("a"); f.rename("a", "b") }, "a=text"},
		"renamed and synced":         {func(f folder) { f.write("a", "text"); f.sync("a"); f.rename("a", "b"); f.sync("") }, "b=text"},
		"renamed, the file synced":   {func(f folder) { f.write("a", "text"); f.rename("a", "b"); f.sync("b") }, "a=text"},
		"renamed over another":       {func(f folder) { f.write("b", "old"); f.sync("b"); f.write("a", "new"); f.sync("a"); f.rename("a", "b") }, "a=new b=old"},
		"renamed over, and synced":   {func(f folder) { f.write("b", "old"); f.sync("b"); f.write("a", "new"); f.rename("a", "b"); f.sync("") }, "b="},
		"replaced with care": {func(f folder) {
			f.write("b", "old")
			f.sync("b")
			f.write("a", "new")
			f.sync("a")
			f.rename("a", "b")
			f.sync("")
		}, "b=new"},
		"renamed into a folder": {func(f folder) {
			f.mkdir("d")
			f.write("a", "text")
			f.sync("a")
			f.rename("a", "d/a")
			f.sync("d")
			f.sync("")
		}, "d/ d/a=text"},
		"removed, made again and synced": {func(f folder) { f.write("a", "old"); f.sync("a"); f.remove("a"); f.write("a", "new"); f.sync("a") }, "a=new"},
		"open and removed": {func(f folder) {
			file := f.write("a", "text")
			f.must(file.Sync())
			f.remove("a")
			f.sync("")
			f.must(file.Sync())
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := folder{t, rig.StartDisk(t)}
			c.do(f)
			f.disk.Cut()
			f.disk.Restore()
			if left := f.holds(); left != c.left {
				t.Errorf("left is %q, not %q", left, c.left)
			}
		})
	}
}

// mapped writes a file through memory.
func (f folder) mapped(name, text string) {
	f.t.Helper()
	file := f.open(name, 0)
	f.must(file.Truncate(int64(len(text))))
	memory, err := syscall.Mmap(int(file.Fd()), 0, len(text), syscall.PROT_WRITE, syscall.MAP_SHARED)
	f.must(err)
	copy(memory, text)
	f.t.Cleanup(func() { _ = syscall.Munmap(memory) })
}

// Without power everything fails, and who had a file open keeps failing when it is back.
func TestADiskWithoutPowerFailsWhoeverUsesIt(t *testing.T) {
	t.Parallel()
	f := folder{t, rig.StartDisk(t)}
	file := f.write("a", "text")
	f.disk.Cut()
	_, failure := file.WriteString("more")
	if err := file.Sync(); failure == nil || err == nil || os.WriteFile(f.path("b"), nil, 0o600) == nil {
		t.Error("a disk without power works")
	}
	f.disk.Restore()
	if err := file.Sync(); err == nil {
		t.Error("a file is synced that was opened before the cut")
	}
	f.write("a", "new")
	f.sync("a")
	f.disk.Cut()
	f.disk.Restore()
	if left := f.holds(); left != "a=new" {
		t.Errorf("left after another cut is %q", left)
	}
}

// The power may go at the very moment when a file is written.
func TestADiskLosesItsPowerWhenAFileIsWritten(t *testing.T) {
	t.Parallel()
	f := folder{t, rig.StartDisk(t)}
	f.write("a", "text")
	f.sync("a")
	var writing sync.WaitGroup
	writing.Go(func() {
		for err := error(nil); err == nil; {
			err = os.WriteFile(f.path("bb"), []byte("text"), 0o600)
		}
	})
	f.disk.When("b*", nil).Cut()
	writing.Wait()
	f.disk.Restore()
	if left := f.holds(); left != "a=text" {
		t.Errorf("left is %q", left)
	}
}

// Some of what was not synced may have reached a disk: any of the pages, each as it was at some moment. What was synced
// is there in any case.
func TestADiskMayHoldSomeOfWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	f := folder{t, rig.StartDisk(t)}
	var seen strings.Builder
	for seed := range uint64(100) {
		file := f.pages("a", 0, "sss")
		f.must(file.Sync())
		f.pages("a", 1, "11111")
		f.pages("a", 1, "22222")
		f.disk.Tear(seed)
		f.disk.Restore()
		left := f.letters("a")
		if !strings.HasPrefix(left, "s") || len(left) < 3 {
			t.Fatalf("seed %d: what was synced is not there: %q", seed, left)
		}
		fmt.Fprint(&seen, left, " ")
		f.remove("a")
	}
	for _, want := range []string{"2s", "12", "21", "20", "sss ", "s22222 "} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("no cut left %q of the pages: %s", want, seen.String())
		}
	}
}

const page = 4096

// pages writes pages of one letter each.
func (f folder) pages(name string, from int64, letters string) *os.File {
	f.t.Helper()
	file := f.open(name, 0)
	for i, letter := range []byte(letters) {
		_, err := file.WriteAt(bytes.Repeat([]byte{letter}, page), (from+int64(i))*page)
		f.must(err)
	}
	return file
}

// letters are those of the pages of a file, 0 for one of zeros.
func (f folder) letters(name string) string {
	f.t.Helper()
	content, err := os.ReadFile(f.path(name))
	f.must(err)
	var letters []byte
	for whole := range slices.Chunk(content, page) {
		if len(bytes.Trim(whole, string(whole[:1]))) > 0 {
			f.t.Fatalf("a page of %s holds two", name)
		}
		letters = append(letters, max(whole[0], '0'))
	}
	return string(letters)
}

// A file that was cut shorter and written anew has no new page beside the old size.
func TestADiskThatLosesThatAFileWasCutLosesWhatCameAfter(t *testing.T) {
	t.Parallel()
	f := folder{t, rig.StartDisk(t)}
	for seed := range uint64(30) {
		f.must(f.pages("a", 0, "oooo").Sync())
		f.must(os.Truncate(f.path("a"), 0))
		f.pages("a", 0, "nn")
		f.disk.Tear(seed)
		f.disk.Restore()
		if left := f.letters("a"); left != "oooo" && (strings.Contains(left, "o") || len(left) > 2) {
			t.Fatalf("seed %d: left is %q", seed, left)
		}
	}
}

// Changes of names reach a disk in their order, if at all.
func TestADiskMayHoldSomeOfTheNamesThatWereNotSynced(t *testing.T) {
	t.Parallel()
	f := folder{t, rig.StartDisk(t)}
	seen := map[string]bool{}
	for seed := range uint64(40) {
		f.write("a", "")
		f.mkdir("d")
		f.rename("a", "d/b")
		f.disk.Tear(seed)
		f.disk.Restore()
		seen[f.holds()] = true
		f.must(os.RemoveAll(f.path("a")))
		f.must(os.RemoveAll(f.path("d")))
		f.sync("")
	}
	if want := map[string]bool{"": true, "a=": true, "a= d/": true, "d/ d/b=": true}; !maps.Equal(seen, want) {
		t.Errorf("left was, after one cut or another, %q", slices.Sorted(maps.Keys(seen)))
	}
}
