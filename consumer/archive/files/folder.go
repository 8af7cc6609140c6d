package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// folder is a store on the local disk. A file is written beside the archive's folders, synced, and only then renamed
// into its place, and the folders that changed are synced too: what a rename shows survives a power cut.
type folder struct{ root string }

// unfinished is where files are before they are complete. What is in it at a start is what a crash left.
const unfinished = ".unfinished"

func openFolder(root string) (*folder, error) {
	f := &folder{root}
	if err := os.RemoveAll(filepath.Join(root, unfinished)); err != nil {
		return nil, f.explain(err)
	}
	if err := os.MkdirAll(filepath.Join(root, unfinished), 0o750); err != nil {
		return nil, f.explain(err)
	}
	return f, nil
}

func (f *folder) explain(err error) error {
	return fmt.Errorf("SLUICE_ARCHIVE: %w: name a folder that this user may write", err)
}

func (f *folder) Write(_ context.Context, name string, content []byte) error {
	temporary, err := f.writeUnfinished(content)
	if err != nil {
		return err
	}
	final := filepath.Join(f.root, name)
	if err := f.makeFolder(filepath.Dir(final)); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, final); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncFolder(filepath.Dir(final))
}

// writeUnfinished returns the path of a file that is complete and synced.
func (f *folder) writeUnfinished(content []byte) (path string, err error) {
	file, err := os.CreateTemp(filepath.Join(f.root, unfinished), "*.tmp") // a reader that looks for files must not find it
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(0o640)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// makeFolder makes a folder and those above it, and syncs each new one's name.
func (f *folder) makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if path != f.root {
		if err := f.makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *folder) List(_ context.Context, prefix string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(f.root, prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		names = append(names, prefix+entry.Name())
	}
	return names, err
}

func (f *folder) Read(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.root, name))
}

// Close has nothing to do: every write is complete.
func (f *folder) Close() error { return nil }
