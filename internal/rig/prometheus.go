package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Prometheus is a Prometheus server.
type Prometheus struct {
	*Process
	Address string
}

// StartPrometheus starts a Prometheus with a configuration file, and waits until it answers.
func StartPrometheus(t testing.TB, config string) *Prometheus {
	t.Helper()
	p := &Prometheus{Address: Address(t)}
	p.Process = Start(t, find(t, "prometheus"), []string{"--config.file=" + config, "--storage.tsdb.path=" + t.TempDir(),
		"--web.listen-address=" + p.Address, "--log.level=warn"}, Environment("GOMAXPROCS=1"))
	Eventually(t, 2*time.Minute, "Prometheus is ready", func() bool {
		answer, err := http.Get("http://" + p.Address + "/-/ready")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// Sample is one series of an answer, with its value as Prometheus writes it.
type Sample struct {
	Metric map[string]string
	Value  [2]any // seconds since 1970, and a string
}

// Query is what an expression is now.
func (p *Prometheus) Query(expression string) []Sample {
	p.t.Helper()
	var data struct{ Result []Sample }
	p.ask("query?query="+url.QueryEscape(expression), &data)
	return data.Result
}

// Alert is one that is pending or firing.
type Alert struct{ Labels, Annotations map[string]string }

// Alerts are those that are pending or firing now.
func (p *Prometheus) Alerts() []Alert {
	p.t.Helper()
	var data struct{ Alerts []Alert }
	p.ask("alerts", &data)
	return data.Alerts
}

// ask takes in what Prometheus answers to a request.
func (p *Prometheus) ask(request string, data any) {
	p.t.Helper()
	answer, err := http.Get("http://" + p.Address + "/api/v1/" + request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	said := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.Error != "" {
		p.t.Fatalf("%s: %v %s", request, err, said.Error)
	}
}

// Promtool runs promtool with an input, and returns what it complains of.
func Promtool(t testing.TB, input string, args ...string) error {
	t.Helper()
	command := exec.Command(find(t, "promtool"), args...)
	command.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("promtool %s: %w: %s", strings.Join(args, " "), err, output.String())
	}
	return nil
}
