// Package embedded is the nats-server that runs inside the gateway where none is installed: on one machine, with
// JetStream synced on every write, and with a reserve on its disk.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/stream"
)

// Options say where the embedded server keeps its files and listens.
type Options struct {
	Dir    string       // data folder; the streams lie in Dir/jetstream
	Listen string       // host:port; port 0 takes a free one
	Log    *slog.Logger // nil means slog.Default()
	Beside int64        // bytes of the same disk that the gateway's journal may still take
}

// MaxPayload is the largest message, headers and body, that the embedded server takes, in bytes.
const MaxPayload = 8 << 20

// Server is a nats-server inside this process. It syncs every write to disk before it acknowledges it, so that an
// acknowledged message survives a power cut. It is a [nats.InProcessConnProvider], and safe for concurrent use.
type Server struct {
	*server.Server // nil until it has started
	started        atomic.Bool
	options        Options
	self           self
	host           string
	port           int
	lock           *os.File
	room           *Room
	store          sync.Mutex // held while it is started again
	stop           context.CancelFunc
	kept           sync.WaitGroup
}

const startTimeout = 30 * time.Second // a million stored events take about half a second

// Start starts a nats-server with JetStream.
func Start(o Options) (*Server, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	return s, s.Start()
}

// New makes a server that is not started yet: until then it takes no connections.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	self, err := newSelf()
	return &Server{options: o, self: self}, err
}

// Start starts it and returns when it takes connections. It takes a lock on the folder first: two servers on the same
// files would destroy them. The errors name the setting to change.
func (s *Server) Start() error {
	var err error
	if s.host, s.port, err = splitListen(s.options.Listen); err != nil {
		return err
	}
	if s.lock, err = lockFolder(s.options.Dir); err != nil {
		return err
	}
	if s.room, err = NewRoom(s.options.Dir, s.options.Beside); err == nil && s.room.filled == 0 {
		err = s.room.Full() // one that has filled it can be told to drop events
	}
	if err != nil {
		return errors.Join(err, s.lock.Close())
	}
	if err := errors.Join(removeProbes(filepath.Join(s.options.Dir, "jetstream")), adopt(s.options.Dir), access.In(s.options.Dir).Make()); err != nil {
		return errors.Join(err, s.room.Full(), s.lock.Close())
	}
	if s.Server, err = s.run(); err != nil {
		return errors.Join(err, s.room.Full(), s.lock.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.kept.Go(func() { s.keep(ctx) })
	s.kept.Go(func() { s.followAccounts(ctx) })
	s.started.Store(true)
	return nil
}

// removeProbes removes the files with which nats-server finds out whether it may write to a folder. It removes them itself,
// but a crash or a power cut may leave one, and then its health says for ever that an account of this name is missing.
func removeProbes(dir string) (err error) {
	entries, _ := os.ReadDir(dir) // where it cannot be read, the server says so
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "_test_") && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

const (
	reservable = 128 << 20 // what may be set aside for streams beyond the disk: bounds that a small disk will not reach
	maxMemory  = 1 << 30   // of streams in memory, of which Sluice has none
)

// configured are the server's options, with who may do what.
func (s *Server) configured() (*server.Options, error) {
	o := &server.Options{
		ServerName: stream.EmbeddedName, Host: s.host, Port: s.port,
		JetStream: true, StoreDir: s.options.Dir, SyncAlways: true, JetStreamMaxStore: s.room.disk + reservable, JetStreamMaxMemory: maxMemory, MaxPayload: MaxPayload,
		NoSigs: true, NoSystemAccount: false,
	}
	return o, s.accounts(o)
}

func (s *Server) run() (*server.Server, error) {
	o, err := s.configured()
	if err != nil {
		return nil, err
	}
	nats, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	nats.SetLogger(&serverLog{log: s.options.Log}, false, false)
	nats.Start()
	if !nats.JetStreamEnabled() || !nats.ReadyForConnections(startTimeout) {
		nats.Shutdown()
		return nil, fmt.Errorf("embedded NATS did not start: see the log above, and check the data folder %s (SLUICE_DATA)", s.options.Dir)
	}
	return nats, nil
}

var errNotStarted = errors.New("the embedded NATS has not started yet")

// InProcessConn implements [nats.InProcessConnProvider].
func (s *Server) InProcessConn() (net.Conn, error) {
	if !s.started.Load() {
		return nil, errNotStarted
	}
	return s.Server.InProcessConn()
}

// Room is the room on its disk; nil until it has started.
func (s *Server) Room() *Room {
	if !s.started.Load() {
		return nil
	}
	return s.room
}

// Shutdown stops the server: connections are closed, files are flushed and the lock is given back on return. One that
// has not started is left as it is.
func (s *Server) Shutdown() {
	if !s.started.Load() {
		return
	}
	s.stop()
	s.kept.Wait()
	s.Server.Shutdown()
	s.WaitForShutdown()
	_ = s.lock.Close() // closing gives the lock back; nothing was written to it
}

// URL is where other processes reach the server once it has started.
func (s *Server) URL() string {
	if s.started.Load() {
		return s.ClientURL()
	}
	return "nats://" + s.options.Listen
}

// splitListen takes host and port apart, and makes sure that the port is free: the server would open its files
// before it finds out.
func splitListen(listen string) (host string, port int, err error) {
	probe, err := net.Listen("tcp", listen)
	if err != nil {
		return "", 0, fmt.Errorf("embedded NATS cannot listen on %s (SLUICE_HUB_LISTEN): %w: stop what is there, choose another port, or set NATS_URL to use a NATS of your own", listen, err)
	}
	if err := probe.Close(); err != nil {
		return "", 0, err
	}
	host, digits, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(digits); err != nil {
		return "", 0, fmt.Errorf("SLUICE_HUB_LISTEN=%q: the port is not a number", listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if host == "" {
		host = server.DEFAULT_HOST
	}
	return host, port, nil
}

func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data folder: %w: set SLUICE_DATA to a folder that this user may write", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write to the data folder: %w: set SLUICE_DATA to a folder that this user may write", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the data folder %s is in use by another gateway (%w): stop it, or set SLUICE_DATA to another folder", dir, err), lock.Close())
	}
	return lock, nil
}
