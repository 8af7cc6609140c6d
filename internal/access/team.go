package access

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/sluicehq/sluice/internal/stream"
)

// Team is a team that has an account, and its places in the streams.
type Team struct {
	Name   string  `json:"team"`
	Key    string  `json:"key"` // the public one; [Folder.Add] sets it
	Places []Place `json:"places"`
}

// Place is one durable consumer of a team: most teams have one of their own name, and forward has one for each target.
type Place struct {
	Durable string   `json:"durable"`
	Events  []string `json:"events"`           // patterns of event names
	Pinned  bool     `json:"pinned,omitempty"` // of several instances one works
}

// Durables are the names of a team's places.
func (t Team) Durables() (names []string) {
	for _, p := range t.Places {
		names = append(names, p.Durable)
	}
	return names
}

// mark begins the line before an account from which the team is read again.
const mark = "# team: "

var account = template.Must(template.New("team").Parse(
	`
{{.Mark}}{{.Record}}
"{{.Team.Name}}" {
  users: [{nkey: {{.Team.Key}}}]
  imports: [{{range .Imports}}
    {service: {account: SLUICE, subject: "{{.}}"}}{{end}}
  ]
}
`))

func (t Team) account() (string, error) {
	record, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = account.Execute(&text, map[string]any{"Team": t, "Mark": mark, "Record": string(record), "Imports": t.imports()})
	return text.String(), err
}

// imports lists the subjects on which a team reaches the streams. The first is one that nobody needs: without it
// nats-server answers every request to JetStream itself, that it is not enabled for this account.
func (t Team) imports() (subjects []string) {
	subjects = append(subjects, "$JS.API.INFO")
	for _, read := range []string{stream.Events, stream.Retry, stream.Replay, stream.Begun} {
		subjects = append(subjects, "$JS.API.STREAM.INFO."+read)
	}
	for _, p := range t.Places {
		subjects = append(subjects, p.imports()...)
	}
	return subjects
}

func (p Place) imports() (subjects []string) {
	subjects = append(subjects, "$JS.API.STREAM.INFO."+stream.RetryOf(p.Durable))
	for _, read := range []string{stream.Events, stream.Retry, stream.RetryOf(p.Durable), stream.Replay} {
		subjects = append(subjects, "$JS.API.CONSUMER.INFO."+read+"."+p.Durable, "$JS.API.CONSUMER.MSG.NEXT."+read+"."+p.Durable,
			"$JS.ACK."+read+"."+p.Durable+".>")
	}
	if p.Pinned {
		subjects = append(subjects, "$JS.API.CONSUMER.UNPIN.EVENTS."+p.Durable)
	}
	subjects = append(subjects, "again."+p.Durable+".wait.>")
	for _, write := range []string{"dead", "begun", "history", "$KV." + stream.Processes, "$JS.API.DIRECT.GET.BEGUN.begun"} {
		subjects = append(subjects, write+"."+p.Durable+".>")
	}
	return subjects
}

// readTeams reads the teams of a file of accounts.
func readTeams(text string) (all []Team, err error) {
	for line := range strings.Lines(text) {
		record, found := strings.CutPrefix(line, mark)
		if !found {
			continue
		}
		var t Team
		if err := json.Unmarshal([]byte(record), &t); err != nil {
			return nil, fmt.Errorf("%q is not a team (%w): correct it, or remove the account and add the team again", strings.TrimSpace(line), err)
		}
		all = append(all, t)
	}
	return all, nil
}
