package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/stream"
)

// action changes something: see the documentation of this package.
type action struct {
	path string
	of   string // name of the page in the menu to which it belongs
	ask  func(r *http.Request) (*question, error)
	do   func(r *http.Request, by who) (said, back string, err error)
}

// question is what an action would do.
type question struct {
	Title   string     // Pause pbx
	Would   []string   // sentences: what would be done, to how many, and what follows from it
	Fields  url.Values // sent with the answer
	Button  string     // the verb; empty: it cannot be done, for the reason that Would has
	Danger  bool       // it cannot be undone
	Back    string     // where who does not want it goes
	Command string     // that does the same
}

// action adds one.
func (s *server) action(a action) {
	s.actions = append(s.actions, a)
	s.mux.HandleFunc("GET "+a.path, s.operators(func(w http.ResponseWriter, r *http.Request) {
		q, err := permitted(s, r, func(r *http.Request) (*question, error) { return bounded(r, a.ask) })
		if err != nil {
			s.fail(w, r, err)
			return
		}
		v := s.frame(r, a.of, q.Title)
		v.Data = q
		s.render(w, http.StatusOK, "question", v)
	}))
	s.mux.HandleFunc("POST "+a.path, s.operators(func(w http.ResponseWriter, r *http.Request) {
		to, err := permitted(s, r, func(r *http.Request) (to string, err error) {
			said, back, err := a.do(r, asker(r))
			if err != nil {
				return "", err
			}
			return s.notes.add(back, said), nil
		})
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTakes)) // it may have taken longer than that
		if err != nil {
			s.fail(w, r, err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}))
}

// record writes down what was done. It is done already: where it cannot be written down the log has it.
func (s *server) record(r *http.Request, e audit.Entry) {
	e.By = asker(r).String()
	if err := audit.Record(r.Context(), s.js, e); err != nil {
		s.log.Error("what was done is not in the audit", "by", e.By, "action", e.Action, "teams", e.Teams, "what", e.What, "count", e.Count, "error", err)
	}
}

// permitted ends what needs a right that the console's own user of NATS lacks as soon as NATS says so, and says which:
// nobody answers what is asked for without a right.
func permitted[T any](s *server, r *http.Request, do func(*http.Request) (T, error)) (T, error) {
	ctx, stop := stream.UnlessForbidden(r.Context(), s.js.Conn(), "")
	defer stop()
	done, err := do(r.WithContext(ctx))
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, stream.ErrForbidden) {
		return done, fmt.Errorf("%w: NATS_CREDS has to be those of an operator (users/operator.nk) for that; sluicectl needs them too", cause)
	}
	return done, err
}

func bounded[T any](r *http.Request, do func(*http.Request) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	return do(r.WithContext(ctx))
}

// operators keeps readers out.
func (s *server) operators(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !asker(r).Operator {
			v := s.frame(r, "", "You may look, and change nothing")
			v.Data = "You came in as a reader. Log out, and log in with the operators' token, or ask one of them."
			s.render(w, http.StatusForbidden, "error", v)
			return
		}
		next(w, r)
	}
}

// notes are what actions have said, until the page that follows has shown it. An address holds its number only: nobody
// can make a link that puts words into the console's mouth.
type notes struct {
	mu    sync.Mutex
	texts map[string]string
}

const mostNotes = 1000

// add returns the address of a page that will show a note.
func (n *notes) add(page, text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.texts == nil || len(n.texts) >= mostNotes {
		n.texts = map[string]string{}
	}
	id := rand.Text()
	n.texts[id] = text
	if strings.Contains(page, "?") {
		return page + "&said=" + id
	}
	return page + "?said=" + id
}

// take returns a note, once.
func (n *notes) take(id string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.texts[id]
	delete(n.texts, id)
	return text
}
