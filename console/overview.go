package main

import "net/http"

func (s *server) overviewRoutes() {
	s.page(page{path: "/{$}", name: "overview", title: "Overview", menu: true, live: []string{"verdict"}, data: s.overviewPage})
}

// overview is the page that is looked at first.
type overview struct {
	Events uint64
}

func (s *server) overviewPage(r *http.Request) (any, error) {
	info, err := s.js.Stream(r.Context(), "EVENTS")
	if err != nil {
		return nil, err
	}
	return overview{Events: info.CachedInfo().State.Msgs}, nil
}
