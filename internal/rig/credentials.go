package rig

import (
	"os"
	"strings"
	"sync"

	"github.com/sluicehq/sluice/internal/access"
)

// guarded are the access folders by the address of the NATS that asks who connects.
var guarded sync.Map

// Guarded makes known that the NATS at an address, written as its clients write it, lets in who has credentials of a
// folder: [JetStream] connects to it as its operator, and [Environment] gives who connects to it the operator's credentials.
func Guarded(url string, folder access.Folder) { guarded.Store(url, folder) }

// Credentials is the file of the operator of such a NATS; empty for another NATS.
func Credentials(url string) string {
	folder, known := guarded.Load(url)
	if !known {
		return ""
	}
	file := folder.(access.Folder).Seed(access.Operator)
	if _, err := os.Stat(file); err != nil { // that gateway is of a test that has ended, and another has its address
		return ""
	}
	return file
}

// withCredentials adds to the settings of a process who it is to the embedded NATS that it connects to, unless they say so.
func withCredentials(settings []string) []string {
	is := map[string]string{}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		is[name] = value
	}
	if hub, data := is["SLUICE_HUB_LISTEN"], is["SLUICE_DATA"]; hub != "" && data != "" {
		Guarded("nats://"+hub, access.In(data))
	}
	if _, set := is["NATS_CREDS"]; !set && Credentials(is["NATS_URL"]) != "" {
		return append(settings, "NATS_CREDS="+Credentials(is["NATS_URL"]))
	}
	return settings
}
