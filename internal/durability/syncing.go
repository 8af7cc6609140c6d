package durability

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/secure"
)

const monitorTimeout = time.Second

// Syncing is when the servers that told sync what they acknowledge.
type Syncing struct {
	Told   int           // servers that told
	Always int           // of them those that sync every write before they acknowledge it
	Every  time.Duration // how often the laziest of the others syncs
	Size   int           // how many servers the cluster has; 1 without one
}

// AskSyncing asks the monitoring ports of NATS, the only place where it can be seen without the system account. monitors
// are their addresses, separated by commas, with the files that secure https, or empty for port 8222 of every address in urls. A server that does not answer
// does not count; that which nc is connected to has to be one of those that do.
func AskSyncing(ctx context.Context, nc *nats.Conn, urls, monitors string, files secure.Files) (s Syncing, err error) {
	addresses, err := monitorsOf(urls, monitors)
	if err != nil {
		return s, err
	}
	told, other := map[string]bool{}, errors.New("it is the monitoring port of another server")
	for _, address := range addresses {
		one, err := askMonitor(ctx, address, files)
		switch {
		case err != nil:
			other = err // a server of a cluster may be away
		case !told[one.ServerID]:
			told[one.ServerID] = true
			s.add(one)
		}
	}
	if !told[nc.ConnectedServerId()] {
		list := strings.Join(addresses, ",")
		return Syncing{}, fmt.Errorf("%s: %s", mask.Address(list), mask.Text(other.Error(), list))
	}
	return s, nil
}

// add counts what one more server told.
func (s *Syncing) add(one jsz) {
	s.Told++
	s.Size = max(s.Size, one.Meta.Size, 1)
	if one.Config.SyncAlways {
		s.Always++
		return
	}
	s.Every = max(s.Every, one.Config.SyncInterval)
}

func monitorsOf(urls, monitors string) (addresses []string, err error) {
	for one := range strings.SplitSeq(cmp.Or(monitors, urls), ",") {
		one = strings.TrimSpace(one)
		if monitors == "" {
			u, err := url.Parse(one)
			if err != nil {
				return nil, err
			}
			one = "http://" + net.JoinHostPort(u.Hostname(), "8222")
		}
		addresses = append(addresses, strings.TrimSuffix(one, "/"))
	}
	return addresses, nil
}

// jsz is what a monitoring port tells of JetStream.
type jsz struct {
	ServerID string `json:"server_id"`
	Config   struct {
		SyncAlways   bool          `json:"sync_always"`
		SyncInterval time.Duration `json:"sync_interval"`
	} `json:"config"`
	Meta struct {
		Size int `json:"cluster_size"`
	} `json:"meta_cluster"`
}

func askMonitor(ctx context.Context, address string, files secure.Files) (told jsz, err error) {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/jsz", nil)
	if err != nil {
		return told, err
	}
	client, err := files.Client()
	if err != nil {
		return told, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return told, files.Explain(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		return told, fmt.Errorf("%s/jsz: %w", address, err)
	}
	return told, nil
}
