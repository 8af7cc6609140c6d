package main

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/stream"
)

// page is one page: see the documentation of this package.
type page struct {
	path  string // a pattern of http.ServeMux, without a method
	name  string // of its template; pages of one menu entry have the same prefix: team, teams
	title string
	menu  bool   // it stands in the menu
	of    string // name of the page in the menu to which it belongs; empty: its own
	live  []string
	sees  bool // who opens it has looked at dead letters and quarantine
	data  func(r *http.Request) (any, error)
}

// view is what every template gets.
type view struct {
	Page, Title string
	Menu        []page
	Who         who
	Note        string // what an action has just said
	Trouble     string // why nothing is up to date
	Live        bool   // the page changes by itself
	Search      string
	Data        any
}

// Path, Title and In are for the menu.
func (p page) Path() string      { return strings.TrimSuffix(p.path, "{$}") }
func (p page) Label() string     { return p.title }
func (p page) In(of string) bool { return p.name == of }

// page adds one.
func (s *server) page(p page) {
	if p.of == "" {
		p.of = p.name
	}
	if p.menu {
		s.menu = append(s.menu, p)
	}
	s.pages = append(s.pages, p)
	s.looks[p.name] = parse(p.name)
	s.mux.HandleFunc("GET "+p.path, func(w http.ResponseWriter, r *http.Request) {
		if len(p.live) > 0 && strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			s.follow(w, r, p)
			return
		}
		v, err := s.view(r, p)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if p.sees {
			s.saw(w, r)
		}
		s.render(w, http.StatusOK, p.name, v)
	})
}

// parse reads a page's template with the layout around it. It panics for one that is not right: the program is not.
func parse(name string) *template.Template {
	return template.Must(template.New(name).Funcs(functions).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
}

func (s *server) view(r *http.Request, p page) (v view, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	v = s.frame(r, p.of, p.title)
	v.Live = len(p.live) > 0
	if v.Data, err = p.data(r.WithContext(ctx)); err != nil {
		return v, err
	}
	if own, has := v.Data.(interface{ Title() string }); has {
		v.Title = own.Title()
	}
	if searched, has := v.Data.(interface{ Searched() string }); has {
		v.Search = searched.Searched()
	}
	return v, nil
}

// frame is what is around every page.
func (s *server) frame(r *http.Request, of, title string) view {
	return view{Page: of, Title: title, Menu: s.menu, Who: asker(r), Note: s.notes.take(r.URL.Query().Get("said"))}
}

func (s *server) render(w http.ResponseWriter, status int, name string, v view) {
	var html bytes.Buffer
	if err := s.looks[name].ExecuteTemplate(&html, "layout", v); err != nil {
		s.log.Error("a page cannot be shown", "page", name, "error", err)
		http.Error(w, "this page cannot be shown: the console's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(html.Bytes()) // the browser is gone, then
}

// errNothing means that there is no such thing; wrapped, it says which.
var errNothing = errors.New("there is nothing here")

// fail shows an error, with its status.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, title := http.StatusBadGateway, "This does not work now"
	switch {
	case errors.Is(err, errNothing):
		status, title = http.StatusNotFound, "Not found"
	case errors.Is(err, errMisused):
		status, title = http.StatusBadRequest, "That was not understood"
	case errors.Is(err, stream.ErrForbidden):
		status, title = http.StatusForbidden, "This console may look, and change nothing"
	case errors.Is(err, errBusy):
		status, title = http.StatusServiceUnavailable, "Too much at once"
	case errors.Is(err, errLate):
		status, title = http.StatusConflict, "Somebody else was faster"
	}
	v := s.frame(r, "", title)
	v.Data = s.explain(err)
	s.render(w, status, "error", v)
}

// errMisused means that the query or the form is wrong; wrapped, it says how.
var errMisused = errors.New("this is not understood")

// errLate means that somebody else has done something to it meanwhile; wrapped, it says what follows.
var errLate = errors.New("nothing was done")

// errBusy means that others are reading as much as the console reads at once.
var errBusy = errors.New("the console is reading for others, as much as it reads at once: try again in some seconds, or search in less")

// explain says what is wrong and what to do, without the secrets of an address.
func (s *server) explain(err error) string {
	nc := s.js.Conn()
	switch {
	case errors.Is(err, errNothing), errors.Is(err, errMisused), errors.Is(err, errLate), errors.Is(err, errBusy), errors.Is(err, stream.ErrForbidden):
	case !nc.IsConnected():
		return "NATS is not reachable at " + mask.Address(s.settings.NATSURL) + ": start it, or the gateway that runs it, or correct NATS_URL. This page goes on by itself."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return "NATS did not answer in time: " + mask.Text(err.Error(), s.settings.NATSURL)
	}
	text := mask.Text(err.Error(), s.settings.NATSURL)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !strings.Contains(text, "start a gateway") {
		text += ": a stream of Sluice's does not exist; start a gateway of this version, which creates it. `sluicectl doctor` says which one"
	}
	return text
}
