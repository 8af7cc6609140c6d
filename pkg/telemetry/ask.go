package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/internal/socket"
)

const askWithin = 3 * time.Second

// Ask asks the process with this admin address, host:port or unix:/path, for its /readyz. Without its token, where it has
// one, it tells its status alone. The error says what to do.
func Ask(ctx context.Context, address, token string) (r Readiness, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	host, client := address, http.Client{Transport: &http.Transport{}}
	if path, isSocket := socket.Cut(address); isSocket {
		host, client.Transport = "sluice", socket.Transport(path)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/readyz", nil)
	if err != nil {
		return r, fmt.Errorf("%s is not an address: set SLUICE_ADMIN to host:port or unix:/path: %w", address, err)
	}
	if token != "" {
		request.Header.Set("Authorization", bearer+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		err = errors.Unwrap(err) // of its method and URL
		return r, fmt.Errorf("nothing answers at %s: %w: start it, or set SLUICE_ADMIN to its address", address, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return r, fmt.Errorf("what answers at %s does not take this token: set SLUICE_ADMIN_TOKEN, or SLUICE_ADMIN_TOKEN_FILE, to the one that it was started with", address)
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&r)
	if err != nil || r.Status == "" {
		return r, fmt.Errorf("what answers at %s is not a process of Sluice: set SLUICE_ADMIN to the address of one", address)
	}
	return r, nil
}

// Works reports whether a process does its work, degraded or not.
func (r Readiness) Works() bool { return r.Status == "ready" || r.Status == "degraded" }
