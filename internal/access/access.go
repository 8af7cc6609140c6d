// Package access keeps who may do what in NATS, as a folder of files: the accounts for the configuration of nats-server,
// which hold public keys only, and a credentials file for each user.
//
//	accounts.conf  the account SLUICE with its users, and what it exports; it includes
//	teams.conf     the teams' accounts
//	users/NAME.nk  the seed of a user's key, for NATS_CREDS
//
// An account is a space of subjects of its own. A team's has nothing in it but what the operator imported from SLUICE, so
// that whatever a team sends, reply subjects included, reaches its own events and nobody else's.
package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nats-io/nkeys"
)

// Account is the name of the account that holds the streams.
const Account = "SLUICE"

// The users of [Account].
const (
	Gateway  = "gateway"  // publishes, and makes the streams
	Operator = "operator" // may do everything
	Monitor  = "monitor"  // may look at everything and change nothing
)

var users = []string{Gateway, Operator, Monitor}

// Folder is a folder of access files. Several processes may change it at once: each change waits for the one before.
type Folder string

// In is the folder of the gateway whose data folder is data.
func In(data string) Folder { return Folder(filepath.Join(data, "nats")) }

// Accounts is the file that the configuration of nats-server includes.
func (f Folder) Accounts() string { return f.path("accounts.conf") }

// Seed is the file with the credentials of a user or of a team.
func (f Folder) Seed(user string) string { return f.path("users", user+".nk") }

func (f Folder) path(parts ...string) string {
	return filepath.Join(append([]string{string(f)}, parts...)...)
}

// Make makes the files that are missing, and writes the accounts as this version knows them. Keys that are there stay.
func (f Folder) Make() error { return f.alone(f.make) }

func (f Folder) make() error {
	keys := map[string]string{}
	for _, user := range users {
		key, err := f.Key(user)
		if err != nil {
			return fmt.Errorf("credentials for NATS: %w", err)
		}
		keys[user] = key
	}
	text, err := accounts(keys)
	if err != nil {
		return err
	}
	teams, err := f.Teams()
	if err != nil {
		return err
	}
	return errors.Join(f.list(teams), write(f.Accounts(), text, shown))
}

// Add makes a team's account and credentials, or changes the account of one that is there.
func (f Folder) Add(t Team) error { return f.alone(func() error { return f.add(t) }) }

func (f Folder) add(t Team) error {
	if slices.Contains(users, t.Name) || t.Name == Account {
		return fmt.Errorf("a team cannot be named %s: Sluice uses that name itself", t.Name)
	}
	others, err := f.without(t.Name)
	if err != nil {
		return err
	}
	if t.Key, err = f.Key(t.Name); err != nil {
		return fmt.Errorf("credentials for %s: %w", t.Name, err)
	}
	return f.list(append(others, t))
}

// Remove removes a team's account and credentials. One that is not there is no error.
func (f Folder) Remove(name string) error { return f.alone(func() error { return f.remove(name) }) }

func (f Folder) remove(name string) error {
	others, err := f.without(name)
	if err != nil {
		return err
	}
	if err := f.list(others); err != nil {
		return err
	}
	if err := os.Remove(f.Seed(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Leave removes a team by its name, or one place of a team by that of its durable. What is not there is no error.
func (f Folder) Leave(name string) error { return f.alone(func() error { return f.leave(name) }) }

func (f Folder) leave(name string) error {
	teams, err := f.Teams()
	if err != nil {
		return err
	}
	for _, t := range teams {
		left := slices.DeleteFunc(slices.Clone(t.Places), func(p Place) bool { return p.Durable == name })
		switch {
		case t.Name == name, len(left) == 0:
			return f.remove(t.Name)
		case len(left) < len(t.Places):
			t.Places = left
			return f.add(t)
		}
	}
	return nil
}

// Teams are those that have an account, by name. A folder that is not there has none.
func (f Folder) Teams() ([]Team, error) {
	text, err := os.ReadFile(f.teams())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	all, err := readTeams(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.teams(), err)
	}
	return all, nil
}

// Team is a team by its name.
func (f Folder) Team(name string) (t Team, found bool, err error) {
	all, err := f.Teams()
	if i := slices.IndexFunc(all, func(t Team) bool { return t.Name == name }); i >= 0 {
		return all[i], true, err
	}
	return t, false, err
}

func (f Folder) without(name string) ([]Team, error) {
	all, err := f.Teams()
	return slices.DeleteFunc(all, func(t Team) bool { return t.Name == name }), err
}

// Text is everything that nats-server reads.
func (f Folder) Text() (string, error) {
	accounts, err := os.ReadFile(f.Accounts())
	if err != nil {
		return "", err
	}
	teams, err := os.ReadFile(f.teams())
	return string(accounts) + string(teams), err
}

func (f Folder) teams() string { return f.path("teams.conf") }

// list writes which teams have an account.
func (f Folder) list(teams []Team) error {
	slices.SortFunc(teams, func(a, b Team) int { return strings.Compare(a.Name, b.Name) })
	text := "# The teams' accounts. sluicectl writes this file, and it holds no secret: the keys are public ones.\n"
	for _, t := range teams {
		account, err := t.account()
		if err != nil {
			return err
		}
		text += account
	}
	return write(f.teams(), text, shown)
}

// Key is the public key of a user, whose seed is made where there is none.
func (f Folder) Key(user string) (string, error) {
	text, err := os.ReadFile(f.Seed(user))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = f.makeSeed(user)
	}
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w: put it back from a backup, or remove it to have a new one made, which its user then needs", f.Seed(user), err)
	}
	return pair.PublicKey()
}

func (f Folder) makeSeed(user string) ([]byte, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	return seed, write(f.Seed(user), string(seed)+"\n", hidden)
}

// Modes of the files. nats-server may run as another user.
const (
	shown  = 0o644
	hidden = 0o600
)

// write replaces a file as a whole, unless it says so already.
func write(file, text string, mode os.FileMode) error {
	if have, err := os.ReadFile(file); err == nil && string(have) == text {
		return nil
	}
	folder := fs.FileMode(0o755)
	if mode == hidden {
		folder = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(file), folder); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(text)
	err = errors.Join(err, temporary.Chmod(mode), give(temporary), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return settle(filepath.Dir(file))
}

// give gives a file that root makes to who has its folder: the user that a gateway or containers run as.
func give(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	folder, err := os.Stat(filepath.Dir(file.Name()))
	if err != nil {
		return err
	}
	owner, known := folder.Sys().(*syscall.Stat_t)
	if !known {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}

// settle makes the names in a folder outlive a power cut, and those of the folders above it that may be new: whoever has a
// key that is gone would never be let in again.
func settle(folder string) (err error) {
	for range 3 {
		switch open, failed := os.Open(folder); {
		case failed == nil:
			err = errors.Join(err, open.Sync(), open.Close())
		case !errors.Is(failed, fs.ErrPermission): // a folder above may be somebody else's, and then is not new
			err = errors.Join(err, failed)
		}
		folder = filepath.Dir(folder)
	}
	return err
}

// quoted is a list of subjects as nats-server reads it.
func quoted(subjects []string) string {
	return `["` + strings.Join(subjects, `", "`) + `"]`
}
