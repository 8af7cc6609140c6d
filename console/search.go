package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/ops/requests"
	"github.com/sluicehq/sluice/internal/stream"
)

func (s *server) searchRoutes() {
	s.page(page{path: "/search", name: "search", of: "requests", title: "Search", data: s.searchPage})
}

// searchView is what was found, and where it was looked for.
type searchView struct {
	*requests.Found
	Text    string
	Last    uint64
	Depths  []choice
	Older   string // address of the search of what is older
	Command string
}

// Searched returns the text, for the box in the head of the page.
func (v searchView) Searched() string { return v.Text }

// depths are how many of the last messages may be searched. The first is answered at once, the others take as long as they
// take.
var depths = []uint64{10_000, 100_000, 1_000_000}

const (
	searchWithin = 80 * time.Millisecond // of the first
	deepWithin   = 8 * time.Second
	longestText  = 1024
)

func (s *server) searchPage(r *http.Request) (any, error) {
	q := r.URL.Query()
	v := searchView{Text: strings.TrimSpace(q.Get("q")), Last: depths[0]}
	if v.Text == "" {
		return v, nil
	}
	if len(v.Text) > longestText {
		return nil, fmt.Errorf("%w: a text of %d bytes: search for at most %d", errMisused, len(v.Text), longestText)
	}
	var before uint64
	for name, into := range map[string]*uint64{"last": &v.Last, "before": &before} {
		if text := q.Get(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %s=%q is not a number", errMisused, name, text)
			}
			*into = n
		}
	}
	v.Last = min(max(v.Last, 1), depths[len(depths)-1])
	within := deepWithin
	if v.Last <= depths[0] {
		within = searchWithin
	}
	places := s.reading
	if within == deepWithin {
		places = s.deep
	}
	found, err := inTurn(r, places, func(r *http.Request) (any, error) {
		return requests.Search(r.Context(), s.js, v.Text, v.Last, within, before)
	})
	if err != nil {
		return nil, err
	}
	v.Found = found.(*requests.Found)
	v.Command = fmt.Sprintf("sluicectl search %s --last %d", quoted(v.Text), v.Last)
	address := func(last, before uint64) string {
		a := query{"q": {v.Text}, "last": {strconv.FormatUint(last, 10)}}
		if before > 0 {
			a["before"] = []string{strconv.FormatUint(before, 10)}
		}
		return "/search?" + a.encode()
	}
	for _, n := range depths {
		v.Depths = append(v.Depths, choice{Label: "last " + count(n), Link: address(n, 0), Chosen: n == v.Last})
	}
	if next := v.Looked[0].Next; next > 0 {
		v.Older = address(v.Last, next)
	}
	return v, nil
}

// hitLink is where a hit is shown.
func hitLink(h requests.Hit) string {
	switch h.Stream {
	case stream.Events:
		return fmt.Sprintf("/events/%d", h.Sequence)
	case stream.Refused:
		return fmt.Sprintf("/refused/%d", h.Sequence)
	case stream.Dead:
		return fmt.Sprintf("/problems/dead/%d", h.Sequence)
	}
	return fmt.Sprintf("/problems/quarantine/%d", h.Sequence)
}
