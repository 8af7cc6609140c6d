package stream

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
)

const monitorTimeout = time.Second

// EmbeddedName is the name of the server inside a gateway.
const EmbeddedName = "sluice-embedded"

// SyncsAlways reports whether NATS syncs every write to disk before it acknowledges it, and every server of a cluster that
// answers does. It asks their monitoring ports, the only place where that can be seen without the system account; monitors
// are their addresses, separated by commas, or empty for port 8222 of every address in urls. The server that nc is connected
// to has to be one of them. The server inside a gateway always does, and is known by its name.
func SyncsAlways(ctx context.Context, nc *nats.Conn, urls, monitors string) (bool, error) {
	if nc.ConnectedServerName() == EmbeddedName {
		return true, nil
	}
	addresses, err := monitorsOf(urls, monitors)
	if err != nil {
		return false, err
	}
	connected, all, other := false, true, errors.New("it is the monitoring port of another server")
	for _, address := range addresses {
		id, synced, err := askMonitor(ctx, address)
		if err != nil {
			other = err // a server of a cluster may be away
			continue
		}
		connected = connected || id == nc.ConnectedServerId()
		all = all && synced
	}
	if !connected {
		list := strings.Join(addresses, ",")
		return false, fmt.Errorf("%s: %s", mask.Address(list), mask.Text(other.Error(), list))
	}
	return all, nil
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

func askMonitor(ctx context.Context, address string) (serverID string, synced bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/jsz", nil)
	if err != nil {
		return "", false, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", false, err
	}
	defer answer.Body.Close()
	var jsz struct {
		ServerID string `json:"server_id"`
		Config   struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&jsz); err != nil {
		return "", false, fmt.Errorf("%s/jsz: %w", address, err)
	}
	return jsz.ServerID, jsz.Config.SyncAlways, nil
}
