package rig

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/access"
)

// guarded are the access folders by the address of the NATS that asks who connects.
var guarded sync.Map

// Guarded makes known that the NATS at an address, written as its clients write it, lets in who has credentials of a
// folder: [JetStream] connects to it as its operator, and [Environment] gives who connects to it the operator's credentials.
func Guarded(url string, folder access.Folder) { guarded.Store(url, folder) }

// Credentials is the file of the operator of such a NATS; empty for another NATS. A gateway makes it a moment after it takes
// webhooks.
func Credentials(url string) string {
	folder, known := guarded.Load(url)
	if !known {
		return ""
	}
	file, within := folder.(access.Folder).Seed(access.Operator), filepath.Dir(string(folder.(access.Folder)))
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return file
		}
		if _, err := os.Stat(within); err != nil { // that gateway is of a test that has ended, and another has its address
			break
		}
	}
	return ""
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
	if _, set := is["NATS_CREDS"]; !set {
		if operator := Credentials(is["NATS_URL"]); operator != "" {
			return append(settings, "NATS_CREDS="+operator)
		}
	}
	return settings
}
