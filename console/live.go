package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// openFor is how long a browser is answered before it has to come back, which it does by itself: who it is is asked again.
const openFor = 10 * time.Minute

// follow sends the live parts of a page whenever they change, as server-sent events, until the browser leaves.
func (s *server) follow(w http.ResponseWriter, r *http.Request, p page) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of nginx
	sent, out := map[string]string{}, http.NewResponseController(w)
	for end := time.Now().Add(openFor); time.Now().Before(end); {
		_ = out.SetWriteDeadline(time.Now().Add(answerTakes))
		if !s.send(w, r, p, sent) || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(s.every):
		}
	}
}

// send sends what is not as it was sent before. It reports false when there is nobody any more.
func (s *server) send(w http.ResponseWriter, r *http.Request, p page, sent map[string]string) bool {
	v, err := s.view(r, p)
	parts := append([]string{"trouble"}, p.live...)
	if err != nil { // what is shown stays, and is said to be old
		v.Trouble, parts = s.explain(err), parts[:1]
	}
	for _, part := range parts {
		var html bytes.Buffer
		if err := s.looks[p.name].ExecuteTemplate(&html, part, v); err != nil {
			s.log.Error("a part of a page cannot be shown", "page", p.name, "part", part, "error", err)
			return false
		}
		if html.String() == sent[part] {
			continue
		}
		sent[part] = html.String()
		for line := range strings.SplitSeq(strings.ReplaceAll(html.String(), "\r", ""), "\n") {
			fmt.Fprintf(w, "data: %s\n", line)
		}
		fmt.Fprint(w, "\n")
	}
	_, err = fmt.Fprint(w, ": \n\n") // finds out whether somebody reads
	return err == nil
}
