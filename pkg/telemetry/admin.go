package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicehq/sluice/internal/socket"
)

// Status is how a dependency is.
type Status string

// With a degraded dependency the process still works, and stays ready. With one that is down it does not work.
const (
	OK       Status = "ok"
	Degraded Status = "degraded"
	Down     Status = "down"
)

// Health is the state of one dependency.
type Health struct {
	Status Status    `json:"status"`
	Since  time.Time `json:"since"`            // how long it has been so
	Detail string    `json:"detail,omitempty"` // what is wrong, or how well it is
	Remedy string    `json:"remedy,omitempty"` // what to do about it
}

// Dependency is a named Health.
type Dependency struct {
	Name string `json:"name"`
	Health
}

// Readiness is the body of /readyz. Its status is ready, degraded, starting, unavailable or stopping; the last three come with 503.
type Readiness struct {
	Status       string       `json:"status"`
	PID          int          `json:"pid"`                // the process that answers: another may sit on the address that is asked
	Withheld     bool         `json:"withheld,omitempty"` // the dependencies are told only to those who send the token
	Dependencies []Dependency `json:"dependencies"`
}

// Admin serves /healthz, /readyz, /metrics and /debug/pprof on an address of its own, which does not belong on the
// internet. It is safe for concurrent use.
type Admin struct {
	token    string // that callers have to send; empty: nobody has to
	registry *prometheus.Registry
	listener net.Listener
	server   *http.Server
	stopping atomic.Bool

	mu      sync.Mutex
	watched []*watched
}

type watched struct {
	name   string
	health func() Health
}

// NewAdmin listens on address (SLUICE_ADMIN: host:port, unix:/path, or nowhere when it is empty) for the binary of this
// name. Serve answers. With a token (SLUICE_ADMIN_TOKEN) everything but /healthz and the bare status of /readyz is for
// those who send it as Authorization: Bearer; without one the address has to be one that only this machine reaches, and
// no profiles are given out.
func NewAdmin(binary, address, token string) (*Admin, error) {
	if err := CheckAdmin(address, token); err != nil {
		return nil, err
	}
	a := &Admin{token: token, registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_build_info", Help: "The running binary; its value is 1."}, []string{"binary", "version"})
	build.WithLabelValues(binary, Version()).Set(1)
	a.registry.MustRegister(build, dependencies{a})
	if address == "" {
		return a, nil
	}
	var err error
	if a.listener, err = listenAdmin(address); err != nil {
		return nil, err
	}
	a.server = &http.Server{Handler: a.handler(address), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	return a, nil
}

// onlyUs is the mode of a unix socket: this user, and root.
const onlyUs = 0o600

func listenAdmin(address string) (net.Listener, error) {
	if path, isSocket := socket.Cut(address); isSocket {
		return socket.Listen("SLUICE_ADMIN", path, onlyUs)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (SLUICE_ADMIN): %w: stop what is there, or choose another port", address, err)
	}
	return l, nil
}

// handler needs no look at the host's name where there is a token, which no page of the internet can send.
func (a *Admin) handler(address string) http.Handler {
	if a.token != "" {
		return a.guard(a.routes())
	}
	return onlyHere(a.guard(a.routes()), address)
}

func (a *Admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func (a *Admin) readyz(w http.ResponseWriter, asked *http.Request) {
	r := a.Readiness()
	if a.token != "" && a.caller(asked) != knows {
		r.Withheld, r.Dependencies = true, []Dependency{}
	}
	w.Header().Set("Content-Type", "application/json")
	if !r.Works() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(r) // the client is gone, then
}

// Readiness asks every dependency.
func (a *Admin) Readiness() Readiness {
	a.mu.Lock()
	all := a.watched
	a.mu.Unlock()
	r := Readiness{Status: "ready", PID: os.Getpid(), Dependencies: []Dependency{}}
	if len(all) == 0 { // nothing is known yet
		r.Status = "starting"
	}
	for _, w := range all {
		h := w.health()
		r.Dependencies = append(r.Dependencies, Dependency{w.name, h})
		switch {
		case h.Status == Down:
			r.Status = "unavailable"
		case h.Status == Degraded && r.Status == "ready":
			r.Status = "degraded"
		}
	}
	if a.stopping.Load() {
		r.Status = "stopping"
	}
	return r
}

// Watch adds a dependency to /readyz. The function is called on every request for it and must not block. What Watch
// returns takes the dependency away again.
func (a *Admin) Watch(name string, health func() Health) (unwatch func()) {
	w := &watched{name, health}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watched = append(a.watched, w)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.watched = slices.DeleteFunc(slices.Clone(a.watched), func(other *watched) bool { return other == w })
	}
}

// Registry is where metrics are registered.
func (a *Admin) Registry() *prometheus.Registry { return a.registry }

// Addr is where it listens, host:port or unix:/path; "" when nowhere.
func (a *Admin) Addr() string {
	switch {
	case a.listener == nil:
		return ""
	case a.listener.Addr().Network() == "unix":
		return "unix:" + a.listener.Addr().String()
	}
	return a.listener.Addr().String()
}

// Stopping makes /readyz answer 503 from now on, so that no new work is sent here.
func (a *Admin) Stopping() { a.stopping.Store(true) }

// Serve answers until Shutdown.
func (a *Admin) Serve() {
	if a.server == nil {
		return
	}
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		panic(err) // accepting on a listener of ours failed for good
	}
}

// Shutdown stops answering within a second.
func (a *Admin) Shutdown(ctx context.Context) {
	if a.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close() // a profile may still be running; nothing of it is worth waiting for
	}
}
