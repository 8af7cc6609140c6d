package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const askWithin = 3 * time.Second

// Ask asks the process with this admin address, host:port, for its /readyz. The error says what to do.
func Ask(ctx context.Context, address string) (r Readiness, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return r, fmt.Errorf("%s is not an address: set SLUICE_ADMIN to host:port: %w", address, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		err = errors.Unwrap(err) // of its method and URL
		return r, fmt.Errorf("nothing answers at %s: %w: start it, or set SLUICE_ADMIN to its address", address, err)
	}
	defer answer.Body.Close()
	err = json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&r)
	if err != nil || r.Status == "" {
		return r, fmt.Errorf("what answers at %s is not a process of Sluice: set SLUICE_ADMIN to the address of one", address)
	}
	return r, nil
}

// Works reports whether a process does its work, degraded or not.
func (r Readiness) Works() bool { return r.Status == "ready" || r.Status == "degraded" }
