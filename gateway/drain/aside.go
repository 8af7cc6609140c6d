package drain

import (
	"fmt"
	"os"
	"path/filepath"
)

// setAside keeps a record that JetStream will never take, or that cannot be read here, in a file of its own: it was answered
// 200, and the others go on.
func (d *Drain) setAside(index uint64, record []byte, reason error) error {
	if err := os.MkdirAll(d.Aside, 0o700); err != nil {
		return err
	}
	path := filepath.Join(d.Aside, fmt.Sprintf("%020d", index))
	if err := writeSynced(path, record); err != nil {
		return err
	}
	d.Log.Error("NATS does not take a delivery from the journal: it is set aside", "file", path, "error", reason,
		"remedy", "let this user publish on quarantine.>, raise max_payload of NATS, or install the newer version that wrote it, as the error says; then restart the gateway, which tries it again")
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
	_ = os.Remove(d.Aside) // nothing is in it, or it is not there
	return nil
}
