// The console is what operators see, and do, in a browser: everything that sluicectl knows and does, by the same packages.
//
// # How a page is added
//
// A page is a file NAME.go here and a template templates/NAME.html. The file has a method that [server.routes] calls:
//
//	func (s *server) teamsRoutes() {
//		s.page(page{path: "/teams", name: "teams", title: "Teams", menu: true, live: []string{"teams"}, data: s.teamsPage})
//		s.action(action{path: "/teams/{team}/pause", ask: s.askPause, do: s.doPause})
//	}
//
// A page's data comes from func(r *http.Request) (any, error), within [answerWithin]; its template defines "content", in
// which {{.Data}} is that value and the rest is a [view]. An error is shown with its text; one that is [errNothing]
// answers 404. Data with a method Title() string has a title of its own. The page /NAME/{id} of one thing is a page too.
//
// What is live is a {{define "NAME"}} of the template, listed in page.live: one element whose id is that name. The page
// has it by {{template "NAME" .}}. While the page is open the server calls data every two seconds and sends those
// elements that have changed; the script puts them in place of the old ones. Filters stand in the query, as links and
// GET forms, so that a page has an address that can be passed on and works without a script.
//
// An action changes something. GET on its path asks: ask returns what would be done and to how many, as a [question]. Its
// button is POST on the same path with the same query and the fields of the question: do does it, in the name of who is
// there ([who.String], for the audit), and returns what it has done and the page to go back to. Both are refused to
// readers. Links to it are for operators alone: {{if .Who.Operator}}<a class="button" href="…">…</a>{{end}}.
//
// Functions of templates are in [functions]: {{plain .}} for every text of a stranger, {{when .}} and {{ago .}} for times,
// {{count .}}, {{size .}}, {{chip "warn" "late"}}, {{spark .}}, {{command "sluicectl teams"}} with a button that copies it.
// Rows that j and k go through have class="row" and hold one link, which Enter follows. Styles and scripts inside a
// template do not work, which is meant: they are in static/.
//
// Tests have a console of their own, and one browser for all of them: see newStage and newTab in stage_test.go.
package main
