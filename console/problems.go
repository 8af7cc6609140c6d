package main

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/internal/stream"
)

func (s *server) problemsRoutes() {
	s.page(page{path: "/problems", name: "problems", title: "Problems", menu: true, sees: true, live: []string{"letters", "entries"}, data: s.problemsPage})
	s.page(page{path: "/problems/dead/{sequence}", name: "letter", of: "problems", data: s.few(s.letterPage)})
	s.page(page{path: "/problems/quarantine/{sequence}", name: "entry", of: "problems", data: s.few(s.entryPage)})
	s.mux.HandleFunc("GET /problems/dead/{sequence}/body", s.download(stream.Dead))
	s.mux.HandleFunc("GET /problems/quarantine/{sequence}/body", s.download(stream.Quarantine))
	s.action(action{path: "/problems/redrive", of: "problems", ask: s.askRedrive, do: s.doRedrive})
	s.action(action{path: "/problems/drop", of: "problems", ask: s.askDropLetters, do: s.doDropLetters})
	s.action(action{path: "/problems/quarantine/release", of: "problems", ask: s.askRelease, do: s.doRelease})
	s.action(action{path: "/problems/quarantine/drop", of: "problems", ask: s.askDropEntries, do: s.doDropEntries})
}

// mostLooked is how many of the last dead letters, and of the last entries in quarantine, the console looks at and acts on.
const mostLooked = 10_000

// problemsView are dead letters and quarantine, counted.
type problemsView struct {
	Team    string // whose letters are shown; empty: everybody's
	Teams   []labelled
	Letters groups[*dead.Group]
	Entries groups[*quarantine.Group]
}

// labelled is a number under a name.
type labelled struct {
	Name  string
	Count int
}

// groups are what is counted of a stream.
type groups[G any] struct {
	Groups   []G
	From, To uint64 // sequences that were looked at
	Older    uint64 // messages before, which were not
	Count    int    // of Groups
}

// problems remembers what was counted until the streams have changed: many pages may be open.
type problems struct {
	mu      sync.Mutex
	letters counted[*dead.Group]
	entries counted[*quarantine.Group]
}

type counted[G any] struct {
	groups[G]
	state jetstream.StreamState
}

// look counts a stream, unless it is as it was.
func (c *counted[G]) look(ctx context.Context, js jetstream.JetStream, name string, count func(from, to uint64) ([]G, error)) (groups[G], error) {
	where, err := js.Stream(ctx, name)
	if err != nil {
		return c.groups, err
	}
	state := where.CachedInfo().State
	if c.state.Msgs == state.Msgs && c.state.FirstSeq == state.FirstSeq && c.state.LastSeq == state.LastSeq && c.state.LastTime.Equal(state.LastTime) {
		return c.groups, nil
	}
	g := groups[G]{}
	if g.From, g.To, g.Older, err = stream.Window(ctx, js, name, mostLooked); err != nil {
		return g, err
	}
	if state.Msgs > 0 {
		if g.Groups, err = count(g.From, g.To); err != nil {
			return g, err
		}
	}
	c.groups, c.state = g, state
	return g, nil
}

func (s *server) problemsPage(r *http.Request) (any, error) {
	v := problemsView{Team: r.FormValue("team")}
	letters, entries, err := s.problems.look(r.Context(), s.js)
	if err != nil {
		return nil, err
	}
	v.Letters, v.Entries = letters, entries
	for _, g := range letters.Groups {
		if n := len(v.Teams); n == 0 || v.Teams[n-1].Name != g.Team { // they are sorted
			v.Teams = append(v.Teams, labelled{Name: g.Team})
		}
		v.Teams[len(v.Teams)-1].Count += g.Count
	}
	if v.Team != "" {
		v.Letters.Groups = slices.DeleteFunc(slices.Clone(letters.Groups), func(g *dead.Group) bool { return g.Team != v.Team })
	}
	for _, g := range v.Letters.Groups {
		v.Letters.Count += g.Count
	}
	for _, g := range v.Entries.Groups {
		v.Entries.Count += g.Count
	}
	return v, nil
}

func (p *problems) look(ctx context.Context, js jetstream.JetStream) (letters groups[*dead.Group], entries groups[*quarantine.Group], err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	letters, err = p.letters.look(ctx, js, stream.Dead, func(from, to uint64) ([]*dead.Group, error) {
		return dead.Groups(ctx, js, dead.Selection{From: from, To: to})
	})
	if err != nil {
		return letters, entries, err
	}
	entries, err = p.entries.look(ctx, js, stream.Quarantine, func(from, to uint64) ([]*quarantine.Group, error) {
		return quarantine.Groups(ctx, js, quarantine.Selection{From: from, To: to})
	})
	return letters, entries, err
}
