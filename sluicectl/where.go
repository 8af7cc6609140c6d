package main

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/socket"
)

// whereEverythingIs are the last lines of `sluicectl run`: the addresses, the files, and the next command to type.
func whereEverythingIs(console *child, processes []*child) string {
	var said strings.Builder
	said.WriteString("\nSluice is up:\n\n")
	table := tabwriter.NewWriter(&said, 0, 0, 3, ' ', 0)
	row := func(what, where string) { fmt.Fprintf(table, "    %s\t%s\n", what, where) }
	row("console", "http://"+reachable(console.admin))
	row("webhooks", webhookURL())
	row("secret", secretPlace())
	row("NATS", mask.Address(hubURL()))
	row("data", dataFolder())
	for _, p := range processes {
		row(p.name, httpAt(p.admin, "/readyz")+"\t"+httpAt(p.admin, "/metrics"))
	}
	_ = table.Flush() // a strings.Builder takes everything
	fmt.Fprintf(&said, "\nIn another terminal:\n\n    %s\n\nCtrl-C stops everything.\n", nextCommand())
	return said.String()
}

// webhookURL is where the gateway of this environment takes webhooks: with names of its own under the first of them.
func webhookURL() string {
	listen := cmp.Or(os.Getenv("SLUICE_LISTEN"), defaultListen)
	url := httpAt(listen, webhookPath())
	if name := acmeName(); name != "" {
		_, port, _ := net.SplitHostPort(listen)
		return strings.TrimSuffix("https://"+name+":"+cmp.Or(port, "443"), ":443") + webhookPath()
	}
	if os.Getenv("SLUICE_TLS_CERT") != "" {
		return strings.Replace(url, "http://", "https://", 1)
	}
	return url
}

// acmeName is the first name of SLUICE_TLS_ACME.
func acmeName() string {
	first, _, _ := strings.Cut(os.Getenv("SLUICE_TLS_ACME"), ",")
	return strings.TrimSpace(first)
}

func webhookPath() string { return cmp.Or(os.Getenv("SLUICE_PATH"), "/webhook") }

// httpAt is the URL of a path where something listens, for a socket in the form that nginx has for it.
func httpAt(listen, path string) string {
	if _, isSocket := socket.Cut(listen); isSocket {
		return listen + ":" + path
	}
	return "http://" + reachable(listen) + path
}

// posting is how to post to a URL, which may be unix:/path or unix:/path:/webhook for a gateway that listens there.
func posting(url string) (to string, over *http.Transport) {
	path, isSocket := socket.Cut(url)
	if !isSocket {
		return url, &http.Transport{}
	}
	path, at, _ := strings.Cut(path, ":")
	return "http://sluice" + cmp.Or(at, webhookPath()), socket.Transport(path)
}

// secretPlace says where the secret is, and never what it is.
func secretPlace() string {
	if os.Getenv(secretVariable) != "" {
		return "the variable " + secretVariable
	}
	return cmp.Or(os.Getenv(secretVariable+"_FILE"), secretFile())
}

// nextCommand sends an event to what was started.
func nextCommand() string {
	next := "bin/sluicectl send pbx.call.hangup"
	if url := webhookURL(); url != defaultURL {
		next += " --url " + url
	}
	if hub := os.Getenv("SLUICE_HUB_LISTEN"); hub != "" && os.Getenv("NATS_URL") == "" {
		next += " --nats nats://" + hub
	}
	return next
}
