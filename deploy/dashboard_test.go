package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// panel is what the tests look at of one of the dashboard's panels.
type panel struct {
	Title, Type, Description string
	Targets                  []struct{ Expr string }
}

// panels are those of the dashboard, and the titles of its rows.
func panels(t *testing.T) (all []panel, rows []string) {
	t.Helper()
	text, err := os.ReadFile("grafana/dashboards/sluice.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Type == "row" {
			rows = append(rows, p.Title)
		} else {
			all = append(all, p)
		}
	}
	return all, rows
}

func TestTheDashboardAnswersInOrder(t *testing.T) {
	all, rows := panels(t)
	if got := strings.Join(rows, " "); got != "Are we losing anything? Are we answering? Is a team behind? What is near a bound?" {
		t.Errorf("its rows are: %s", got)
	}
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for i, p := range all {
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s has no description, or shows nothing", p.Title)
		}
		for j, target := range p.Targets {
			rules += fmt.Sprintf("  - record: panel:%d:%d\n    expr: %q\n", i, j, strings.ReplaceAll(target.Expr, "$stack", ".*"))
		}
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rig.Promtool(t, "", "check", "rules", file); err != nil {
		t.Error(err)
	}
}

func TestPrometheusTakesItsConfigurationAndRules(t *testing.T) {
	for _, check := range [][]string{{"check", "config", "--syntax-only", "prometheus/prometheus.yml"}, {"check", "rules", "--lint-fatal", "prometheus/alerts.yml"}} {
		if err := rig.Promtool(t, "", check...); err != nil {
			t.Error(err)
		}
	}
}
