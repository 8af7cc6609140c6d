package access

import (
	"strings"
	"text/template"
)

// accounts is the account of the streams, and the line that includes the others.
func accounts(keys map[string]string) (string, error) {
	var text strings.Builder
	err := hub.Execute(&text, map[string]any{"keys": keys, "gateway": gatewayMay(), "monitor": monitorMay(), "exports": exports})
	return text.String(), err
}

var hub = template.Must(template.New("accounts").Funcs(template.FuncMap{"quoted": quoted}).Parse(
	`# Who may do what in NATS. sluicectl writes this file, and it holds no secret: the keys are public ones.
accounts {
  SLUICE {
    jetstream: enabled
    users: [
      # The gateway publishes, and makes the streams.
      {nkey: {{.keys.gateway}}, permissions: {
        publish: {{quoted .gateway}}
        subscribe: "_INBOX_gw.>"
      }}
      # sluicectl may do everything.
      {nkey: {{.keys.operator}}}
      # A console, or monitoring, may look at everything and change nothing.
      {nkey: {{.keys.monitor}}, permissions: {
        publish: {{quoted .monitor}}
        subscribe: "_INBOX.>"
      }}
    ]
    # What the accounts of teams may import. Which team imports what stands in teams.conf.
    exports: [{{range .exports}}
      {{.}}{{end}}
    ]
  }
  include "teams.conf"
}
`))

// gatewayMay lists the subjects that a gateway publishes on: deliveries, and requests to JetStream that make streams, read
// what is stored, and measure. It may neither remove streams or messages, nor write to a team.
func gatewayMay() []string {
	may := []string{"events.>", "quarantine.>", "refused.>", "$KV.SLUICE_PROCESSES.=gateway.>", "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*",
		"$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.CONSUMER.LIST.EVENTS",
		"$JS.API.DIRECT.GET.EVENTS", "$JS.API.DIRECT.GET.EVENTS.>", "$JS.API.DIRECT.GET.KV_SLUICE_PROCESSES", "$JS.API.DIRECT.GET.KV_SLUICE_PROCESSES.>"}
	for _, read := range []string{"EVENTS", "QUARANTINE"} { // to know what is stored already
		may = append(may, "$JS.API.CONSUMER.CREATE."+read+".*", "$JS.API.CONSUMER.MSG.NEXT."+read+".*")
	}
	return may
}

// monitorMay lists requests that change nothing. Reading a stream takes a consumer, and that is made in EVENTS too.
func monitorMay() []string {
	return []string{"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*",
		"$JS.API.CONSUMER.NAMES.*", "$JS.API.CONSUMER.LIST.*", "$JS.API.CONSUMER.INFO.*.*",
		"$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>"}
}

// exports are the services of the streams that a team's account may import.
var exports = []string{
	`{service: "$JS.API.INFO"}`,
	`{service: "$JS.API.STREAM.INFO.*"}`,
	`{service: "$JS.API.CONSUMER.INFO.*.*"}`,
	`{service: "$JS.API.CONSUMER.MSG.NEXT.*.*", response_type: stream}`,
	`{service: "$JS.API.CONSUMER.UNPIN.EVENTS.*"}`,
	`{service: "$JS.API.DIRECT.GET.BEGUN.>"}`,
	`{service: "$JS.ACK.>"}`,
	`{service: "again.*.wait.>"}`,
	`{service: "dead.>"}`,
	`{service: "begun.>"}`,
	`{service: "history.>"}`,
	`{service: "$KV.SLUICE_PROCESSES.>"}`,
}
