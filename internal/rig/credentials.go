package rig

import (
	"os"
	"strings"
	"sync"

	"github.com/sluicehq/sluice/internal/access"
)

// guarded are the data folders of gateways by the address of their embedded NATS, which asks who connects.
var guarded sync.Map

// Guarded makes known that the embedded NATS at an address is that of a data folder: [JetStream] connects to it as its
// operator, and [Environment] gives who connects to it the operator's credentials.
func Guarded(url, data string) { guarded.Store(url, data) }

// Credentials is the file of the operator of an embedded NATS; empty for another NATS.
func Credentials(url string) string {
	data, known := guarded.Load(url)
	if !known {
		return ""
	}
	file := access.In(data.(string)).Seed(access.Operator)
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
		Guarded("nats://"+hub, data)
	}
	if _, set := is["NATS_CREDS"]; !set && Credentials(is["NATS_URL"]) != "" {
		return append(settings, "NATS_CREDS="+Credentials(is["NATS_URL"]))
	}
	return settings
}
