package access

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/sluicehq/sluice/internal/stream"
)

// Team is a team that has an account, and its places in the streams.
type Team struct {
	Name   string  `json:"team"`
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

// mark begins the line of a team's file from which the team is read again.
const mark = "# team: "

var account = template.Must(template.New("team").Parse(
	`# The account of team {{.Team.Name}}. sluicectl writes this file.
{{.Mark}}{{.Record}}
"{{.Team.Name}}" {
  users: [{nkey: {{.Key}}}]
  imports: [{{range .Imports}}
    {service: {account: SLUICE, subject: "{{.}}"}}{{end}}
  ]
}
`))

func (t Team) account(key string) (string, error) {
	record, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = account.Execute(&text, map[string]any{"Team": t, "Mark": mark, "Record": string(record), "Key": key, "Imports": t.imports()})
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

func readTeam(file string) (t Team, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(string(text)) {
		if record, found := strings.CutPrefix(line, mark); found {
			return t, json.Unmarshal([]byte(record), &t)
		}
	}
	return t, fmt.Errorf("%s is not a team's account: it has no line that begins with %q", file, mark)
}
