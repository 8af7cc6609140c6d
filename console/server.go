package main

import (
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

//go:embed templates static
var files embed.FS

// server is the console: its pages, and what it knows them from.
type server struct {
	settings  *Settings
	js        jetstream.JetStream
	log       *slog.Logger
	mux       *http.ServeMux
	menu      []page
	pages     []page
	actions   []action
	looks     map[string]*template.Template // by the name of a page
	notes     notes
	sessions  sessions
	guesses   guesses
	shares    shares
	watch     *watch
	here      string // who runs the console
	problems  problems
	runs      *runs
	histogram histogram
	acting    chan struct{} // who acts on dead letters or quarantine: one at a time
	streams   chan struct{} // pages that are open and live
	reading   chan struct{} // pages that are reading messages just now
	deep      chan struct{} // and searches that take seconds
	every     time.Duration // between two looks at what is live
}

// Bounds of what is open at once, and of how long.
const (
	mostStreams  = 200
	mostReading  = 4 // each has some MiB on its way: NATS cuts a connection that has more than 64 MB to take
	mostDeep     = 1
	lookEvery    = 2 * time.Second
	answerWithin = 10 * time.Second
	mostForm     = 1 << 20 // bytes of a body, which whoever asks for a page may send too
)

func newServer(s *Settings, js jetstream.JetStream, log *slog.Logger) *server {
	looks := map[string]*template.Template{}
	for _, name := range []string{"error", "question", "login"} {
		looks[name] = parse(name)
	}
	return &server{settings: s, js: js, log: log, mux: http.NewServeMux(), looks: looks,
		watch: newWatch(js), sessions: newSessions(s), here: thisUser(), runs: newRuns(), acting: make(chan struct{}, 1), streams: make(chan struct{}, mostStreams),
		reading: make(chan struct{}, mostReading), deep: make(chan struct{}, mostDeep), every: lookEvery}
}

// routes are all pages, in the order of the menu.
func (s *server) routes() {
	s.overviewRoutes()
	s.requestsRoutes()
	s.deliveryRoutes()
	s.searchRoutes()
	s.teamsRoutes()
	s.problemsRoutes()
	s.replayRoutes()
	s.sendRoutes()
}

// busy reports whether somebody has a page open that lives.
func (s *server) busy() bool { return len(s.streams) > 0 }

// handler is everything that is asked before a page is: where the request comes from, and who it is.
func (s *server) handler() http.Handler {
	s.loginRoutes()
	s.routes()
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // it is embedded
	}
	s.mux.Handle("GET /static/", cached(http.StripPrefix("/static/", http.FileServerFS(static))))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errNothing) })
	return guarded(http.MaxBytesHandler(s.hosts(http.NewCrossOriginProtection().Handler(s.known(s.mux))), mostForm))
}

// readyz says what /readyz of the other binaries says to those without a token. The console works without NATS: it says so.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	said := telemetry.Readiness{Status: "ready", PID: os.Getpid(), Withheld: true, Dependencies: []telemetry.Dependency{}}
	if !s.js.Conn().IsConnected() {
		said.Status = "degraded"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(said) // the client is gone, then
}

// cached lets browsers keep what belongs to this build of the console.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		next.ServeHTTP(w, r)
	})
}

// policy lets a page load what the console serves and nothing else: no script or style inside it, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded sets what browsers are told about every answer.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
