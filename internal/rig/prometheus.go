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
	Eventually(t, 30*time.Second, "Prometheus is ready", func() bool {
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
	answer, err := http.Get("http://" + p.Address + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	var said struct {
		Error string
		Data  struct{ Result []Sample }
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.Error != "" {
		p.t.Fatalf("%s: %v %s", expression, err, said.Error)
	}
	return said.Data.Result
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
