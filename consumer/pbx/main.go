// The pbx consumer keeps one row a call, and one row a call detail record.
package main

import (
	_ "github.com/sluicehq/sluice/otel" // traces, where the environment names a collector
	"github.com/sluicehq/sluice/pkg/fold"
	"github.com/sluicehq/sluice/pkg/tables"
)

var team = tables.Team{
	Name:    "pbx",
	Summary: "keeps the tables calls and cdrs from the events of the PBX",
	Schema:  schema,
	Key:     []string{"call_uuid"},
	Keep: map[string][]fold.Keeper{
		ringing:  {calls.Keep},
		answered: {calls.Keep},
		hangup:   {calls.Keep},
		cdr:      {calls.Keep, records.Keep},
	},
}

func main() { tables.Main(team) }
