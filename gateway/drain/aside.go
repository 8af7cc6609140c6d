package drain

import (
	"fmt"
	"os"
	"path/filepath"
)

// setAside keeps an entry that JetStream will never take, in a file of its own: it was answered 200, and the others go on.
func (d *Drain) setAside(e *entry, reason error) error {
	if err := os.MkdirAll(d.Aside, 0o700); err != nil {
		return err
	}
	path := filepath.Join(d.Aside, fmt.Sprintf("%020d", e.index))
	if err := writeSynced(path, e.record); err != nil {
		return err
	}
	d.Log.Error("JetStream can never store a delivery that the journal has kept: it is set aside", "file", path, "identity", e.identity, "error", reason,
		"remedy", "raise max_payload of NATS and start the gateway again, which tries it once more")
	return nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// takeBack appends to the journal what an earlier process set aside: a limit may have been raised since.
func (d *Drain) takeBack() error {
	files, err := filepath.Glob(filepath.Join(d.Aside, "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		record, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := d.Journal.Append([][]byte{record}); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
