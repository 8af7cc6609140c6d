package main

import (
	"fmt"
	"log/slog"
	"syscall"

	"github.com/sluicehq/sluice/gateway/ingest"
)

// keptDescriptors are the file descriptors that connections for webhooks leave to the rest: the admin address, NATS
// and its clients and files, Redis. Where there are few, half of them are kept.
const keptDescriptors = 256

// limits are how many connections may be open: what is set, or as many as there are file descriptors for.
func (s *Settings) limits(log *slog.Logger) ingest.Limits {
	l := ingest.Limits{Connections: s.MaxConnections, ConnectionsPerIP: s.MaxConnectionsPerIP, Proxies: s.proxies()}
	if most, room := descriptors(); l.Connections > room {
		log.Warn(fmt.Sprintf("SLUICE_MAX_CONNECTIONS=%d: this process may have %d file descriptors, and takes %d connections: raise its limit (ulimit -Hn, LimitNOFILE) to %d, or lower the setting",
			l.Connections, most, room, l.Connections+keptDescriptors))
		l.Connections = room
	}
	if l.ConnectionsPerIP == 0 {
		l.ConnectionsPerIP = max(1, l.Connections/2)
	}
	return l
}

// descriptors are how many file descriptors this process may have, and how many of them are there for connections. Go
// has raised the soft limit to the hard one at start.
func descriptors() (most, room int) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 1 << 30 // no limit is known
	}
	most = int(min(limit.Cur, 1<<30))
	return most, most - min(keptDescriptors, most/2)
}
