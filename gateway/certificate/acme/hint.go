package acme

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of the port for plain HTTP, which takes nothing but challenges: a few at a time, small and quick.
const (
	mostConnections = 256
	mostHeader      = 8 << 10
	atMost          = 5 * time.Second
)

// Server answers challenges by plain HTTP on [Server.Serve]'s listener, and everything else with a hint. It redirects
// nobody: a sender that follows a redirect may lose the body on the way, and has sent it in the clear already.
type Server struct{ http http.Server }

// NewServer makes one whose hint names url. noticed is called with whoever got the hint.
func NewServer(a *ACME, url string, noticed func(peer string)) *Server {
	hint := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noticed(r.RemoteAddr)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, "This port takes no webhooks: send them to %s\n", url)
	})
	s := &Server{http.Server{
		Handler: a.Challenges(hint), ReadTimeout: atMost, WriteTimeout: atMost, IdleTimeout: atMost, MaxHeaderBytes: mostHeader,
		ErrorLog: log.New(io.Discard, "", 0), // about strangers' connections
	}}
	s.http.SetKeepAlivesEnabled(false)
	return s
}

// Serve answers until Close.
func (s *Server) Serve(l net.Listener) { _ = s.http.Serve(netutil.LimitListener(l, mostConnections)) } // ends with ErrServerClosed

// Close ends it, and its listener.
func (s *Server) Close() error { return s.http.Close() }
