package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// alone makes a change while no other process makes one: each reads which teams there are and writes them all anew, and of
// two at once one would lose what the other did. The system gives the lock back when a process dies.
func (f Folder) alone(change func() error) error {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return f.explain(err)
	}
	lock, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR, hidden)
	if err != nil {
		return f.explain(err)
	}
	defer lock.Close()
	if err := errors.Join(give(lock), syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)); err != nil {
		return f.explain(err)
	}
	return f.explain(change())
}

// explain adds the remedy where this user may not change the folder.
func (f Folder) explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: only who owns %s may change who is let in: do this as the user that the gateway runs as, or as root", err, string(f))
	}
	return err
}
