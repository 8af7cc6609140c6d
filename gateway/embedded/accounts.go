package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/stream"
)

// self is the gateway as a user of its own server: its key is made anew at each start and never leaves this process.
type self struct {
	pair nkeys.KeyPair
	key  string
}

func newSelf() (self, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return self{}, err
	}
	key, err := pair.PublicKey()
	return self{pair, key}, err
}

// Auth is how the gateway connects to its own server.
func (s *Server) Auth() nats.Option { return nats.Nkey(s.self.key, s.self.pair.Sign) }

// accounts reads from the folder who may do what, and puts the gateway itself in the place of the gateway's user.
func (s *Server) accounts(o *server.Options) error {
	folder := access.In(s.options.Dir)
	if err := o.ProcessConfigFile(folder.Accounts()); err != nil {
		return fmt.Errorf("accounts of the embedded NATS: %w: correct %s, or remove it to have it made again", err, folder.Accounts())
	}
	o.ConfigFile = "" // the rest of the options is in no file
	gateway, err := folder.Key(access.Gateway)
	for _, user := range o.Nkeys {
		if user.Nkey == gateway {
			user.Nkey = s.self.key
		}
	}
	return err
}

// adopt gives the account of this version what earlier ones, which had no accounts, have stored.
func adopt(dir string) error {
	before, now := filepath.Join(dir, "jetstream", "$G"), filepath.Join(dir, "jetstream", access.Account)
	if _, err := os.Stat(before); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(now); err == nil {
		return fmt.Errorf("the data folder has the streams of two gateways: of this version in %s, and of an earlier one that ran after it in %s: move one of the two folders away", now, before)
	}
	if err := os.Rename(before, now); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(now))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

const accountsEvery = 500 * time.Millisecond

// followAccounts takes on, until ctx ends, what sluicectl changes in the folder. Connections stay, but for those of users
// that are gone.
func (s *Server) followAccounts(ctx context.Context) {
	folder := access.In(s.options.Dir)
	known, _ := folder.Text() // one that cannot be read now is one that changes
	for stream.Pause(ctx, accountsEvery); ctx.Err() == nil; stream.Pause(ctx, accountsEvery) {
		text, err := folder.Text()
		if err != nil || text == known {
			continue
		}
		known = text
		if err := s.reload(); err != nil {
			s.options.Log.Error("cannot take on the accounts for NATS: those from before stay", "error", err)
			continue
		}
		s.options.Log.Info("took on the accounts for NATS", "folder", string(folder))
	}
}

func (s *Server) reload() error {
	s.store.Lock() // not while the store is started again
	defer s.store.Unlock()
	for range reloads {
		o, err := s.configured()
		if err != nil {
			return err
		}
		if err := s.ReloadOptions(o); err != nil {
			return err
		}
	}
	return nil
}

// reloads is how often nats-server has to be told the same: what an account imports works from the second reload on after
// it is new (server.go, configureAccounts: "but only if not reloading").
const reloads = 2
