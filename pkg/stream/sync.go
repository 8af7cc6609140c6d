package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const monitorTimeout = time.Second

// SyncsAlways reports whether the server that nc is connected to syncs every write to disk before it acknowledges it.
// It asks the server's monitoring port, the only place where that can be seen without the system account; monitor is
// its address, or empty for port 8222 of the same host.
func SyncsAlways(ctx context.Context, nc *nats.Conn, monitor string) (bool, error) {
	if monitor == "" {
		connected, err := url.Parse(nc.ConnectedUrlRedacted())
		if err != nil {
			return false, err
		}
		monitor = "http://" + connected.Hostname() + ":8222"
	}
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/jsz", nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var jsz struct {
		ServerID string `json:"server_id"`
		Config   struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&jsz); err != nil {
		return false, fmt.Errorf("%s/jsz: %w", monitor, err)
	}
	if jsz.ServerID != nc.ConnectedServerId() {
		return false, fmt.Errorf("%s is the monitoring port of another server", monitor)
	}
	return jsz.Config.SyncAlways, nil
}
