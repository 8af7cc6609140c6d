package deploy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// thresholds say on which side of its bounds which alert fires. Series are those of one installation whose gateway is up
// and well, by the minute, and `at` is when they are looked at.
var thresholds = []struct{ series, at, fires string }{
	{``, "20m", ""},

	{`sluice_failures_in_a_row{source="zorio"} 9x20`, "20m", ""},
	{`sluice_failures_in_a_row{source="zorio"} 0x9 10x10`, "10m", "SluiceFailingRun"},
	{"sluice_failures_in_a_row_max{source=\"zorio\"} 25x30\nsluice_failures_in_a_row_max_timestamp_seconds{source=\"zorio\"} 600x30", "19m", "SluiceFailingRun"}, // it was over between two scrapes
	{"sluice_failures_in_a_row_max{source=\"zorio\"} 25x30\nsluice_failures_in_a_row_max_timestamp_seconds{source=\"zorio\"} 600x30", "21m", ""},

	{`sluice_recent_answers_ratio{source="zorio", answer="invalid"} 0.5x20`, "20m", ""},
	{`sluice_recent_answers_ratio{source="zorio", answer="invalid"} 0.51x20`, "2m", ""},
	{`sluice_recent_answers_ratio{source="zorio", answer="invalid"} 0.51x20`, "3m", "SluiceRefusalStorm"},
	{`sluice_recent_answers_ratio{source="zorio", answer="duplicate"} 1x20`, "20m", ""},
	{"sluice_recent_answers_ratio{source=\"zorio\", answer=\"invalid\"} 1x20\nsluice_failures_in_a_row{source=\"zorio\"} 40x20", "20m", "SluiceFailingRun"},

	{"sluice_silence_seconds{source=\"zorio\"} 800+60x9\nsluice_silence_limit_seconds{source=\"zorio\"} 900x9", "2m", ""},
	{"sluice_silence_seconds{source=\"zorio\"} 800+60x9\nsluice_silence_limit_seconds{source=\"zorio\"} 900x9", "3m", "SluiceSilence"},
	{"sluice_silence_seconds{source=\"zorio\"} 9000x9\nsluice_silence_limit_seconds{source=\"zorio\"} Inf Inf Inf Inf Inf Inf", "5m", ""},
	{"sluice_silence_seconds{source=\"zorio\"} 9000x9\nsluice_silence_limit_seconds{source=\"zorio\"} 900x9\nsluice_silence_seconds{source=\"zorio\", instance=\"other\"} 1x9", "9m", ""}, // the other gateway hears the sender

	{`sluice_dependency_status{job="sluice-gateway", dependency="nats", status="ok"} 1 0x9`, "1m", ""},
	{`sluice_dependency_status{job="sluice-gateway", dependency="nats", status="ok"} 1 0x9`, "2m", "SluiceNATSAway"},
	{`sluice_dependency_status{job="sluice-consumer", dependency="nats", status="ok"} 0x9`, "9m", ""}, // the team says so

	{"sluice_journal_free_bytes{} 31x9\nsluice_journal_bytes{} 69x9\nsluice_journal_deliveries{} 1x9", "9m", ""},
	{"sluice_journal_free_bytes{} 29x9\nsluice_journal_bytes{} 71x9\nsluice_journal_deliveries{} 1x9", "1m", "SluiceJournalFilling"},
	{"sluice_journal_free_bytes{} 29x9\nsluice_journal_bytes{} 71x9\nsluice_journal_deliveries{} 0x9", "9m", ""}, // all of it is in NATS
	{"sluice_journal_free_bytes{} 29x9\nsluice_journal_bytes{} 71x9\nsluice_journal_deliveries{} 1x9\nsluice_data_disk_free_bytes{} 9x9\nsluice_data_disk_size_bytes{} 100x9", "9m", "SluiceDiskFilling"},
	{`sluice_journal_oldest_age_seconds{} 241+60x9`, "1m", ""},
	{`sluice_journal_oldest_age_seconds{} 241+60x9`, "2m", "SluiceJournalOld"},
	{"sluice_journal_oldest_age_seconds{} 900x9\nsluice_dependency_status{job=\"sluice-gateway\", dependency=\"nats\", status=\"ok\"} 0x9", "9m", "SluiceNATSAway"},
	{`sluice_journal_damaged_total{} 1x9`, "0m", "SluiceJournalDamaged"},

	{`sluice_redis_away{} 1x9`, "4m", ""},
	{`sluice_redis_away{} 1x9`, "5m", "SluiceRedisAway"},

	{"sluice_data_disk_free_bytes{} 16x9\nsluice_data_disk_size_bytes{} 100x9", "9m", ""},
	{"sluice_data_disk_free_bytes{} 14x9\nsluice_data_disk_size_bytes{} 100x9", "5m", "SluiceDiskFilling"},
	{"sluice_store_bytes{} 86x9\nsluice_store_limit_bytes{} 100x9", "5m", "SluiceDiskFilling"},
	{"sluice_store_bytes{} 86x9\nsluice_store_limit_bytes{} Inf Inf Inf Inf Inf Inf", "5m", ""},
	{"sluice_store_bytes{} 99x9\nsluice_store_limit_bytes{} 100x9\nsluice_dependency_status{job=\"sluice-gateway\", dependency=\"nats\", status=\"ok\"} 0x9", "9m", "SluiceDiskFilling"}, // NATS has no room: it is not away

	{`sluice_certificate_expiry_timestamp_seconds{name="a"} 1209601x30`, "0m", ""}, // 14 days
	{`sluice_certificate_expiry_timestamp_seconds{name="a"} 1209601x30`, "16m", "SluiceCertificateExpires"},
	{`sluice_dependency_status{dependency="certificate", status="degraded"} 1x30`, "14m", ""}, // a first one is issued meanwhile
	{`sluice_dependency_status{dependency="certificate", status="degraded"} 1x30`, "15m", "SluiceCertificateWrong"},
	{"sluice_dependency_status{dependency=\"certificate\", status=\"degraded\"} 1x30\nsluice_certificate_expiry_timestamp_seconds{name=\"a\"} 7776000x30", "16m", "SluiceCertificateWrong"},
	{"sluice_dependency_status{dependency=\"certificate\", status=\"degraded\"} 1x30\nsluice_certificate_expiry_timestamp_seconds{name=\"a\"} 604800x30", "20m", "SluiceCertificateExpires"},
	{`sluice_dependency_status{dependency="certificate", status="degraded"} 0x30`, "30m", ""},

	{`sluice_durability_info{kept="memory"} 1x20`, "15m", "SluiceNotDurable"},
	{`sluice_durability_info{kept="synced"} 1x20`, "20m", ""},

	{"sluice_team_retention_left_seconds{team=\"pbx\"} 86399x9\nsluice_team_oldest_age_seconds{team=\"pbx\"} 518400x9", "2m", "SluiceTeamAtRisk pbx"},
	{"sluice_team_retention_left_seconds{team=\"pbx\"} 86401x9\nsluice_team_oldest_age_seconds{team=\"pbx\"} 100x9", "9m", ""},
	{"sluice_team_retention_left_seconds{team=\"pbx\"} 3500x9\nsluice_team_oldest_age_seconds{team=\"pbx\"} 100x9", "9m", ""}, // of an hour: it has just come
	{"sluice_team_retention_left_seconds{team=\"pbx\"} 3600x9\nsluice_team_oldest_age_seconds{team=\"pbx\"} 518400x9\nsluice_team_state{team=\"pbx\", state=\"paused\"} 1x9", "9m", "SluiceTeamAtRisk pbx"},

	{`sluice_team_state{team="pbx", state="no process"} 1x9`, "1m", ""},
	{`sluice_team_state{team="pbx", state="no process"} 1x9`, "2m", "SluiceTeamGone pbx"},
	{"sluice_team_state{team=\"pbx\", state=\"no process\"} 1x20\nup{job=\"sluice-consumer\", instance=\"pbx\"} 0x20", "20m", "SluiceTeamGone pbx"},
	{`sluice_team_state{team="pbx", state="blocked"} 1x9`, "2m", "SluiceTeamBlocked pbx"},
	{`sluice_team_state{team="pbx", state="hung"} 1x9`, "2m", "SluiceTeamBlocked pbx"},
	{`sluice_team_state{team="pbx", state="paused"} 1x70`, "59m", ""},
	{`sluice_team_state{team="pbx", state="paused"} 1x70`, "60m", "SluiceTeamPaused pbx"},
	{`sluice_team_oldest_age_seconds{team="pbx"} 800+60x9`, "3m", ""},
	{`sluice_team_oldest_age_seconds{team="pbx"} 800+60x9`, "4m", "SluiceTeamOld pbx"},
	{"sluice_team_oldest_age_seconds{team=\"pbx\"} 9000x9\nsluice_team_state{team=\"pbx\", state=\"blocked\"} 1x9", "9m", "SluiceTeamBlocked pbx"},
	{`sluice_team_lag{team="pbx"} 9000+99x9`, "9m", ""},
	{`sluice_team_lag{team="pbx"} 10001+9x20`, "20m", "SluiceTeamLag pbx"},
	{`sluice_team_lag{team="pbx"} 20000-9x20`, "20m", ""}, // it catches up
	{"sluice_team_lag{team=\"pbx\"} 10001+9x20\nsluice_team_oldest_age_seconds{team=\"pbx\"} 9000x20", "20m", "SluiceTeamOld pbx"},
	{`sluice_team_dead_letters{team="pbx"} 7x9`, "9m", ""},
	{`sluice_team_dead_letters{team="pbx"} 7x5 8x5`, "6m", "SluiceDeadLetters pbx"},
	{`sluice_team_dead_letters{team="pbx"} 7x5 8x50`, "30m", ""},
	{`sluice_quarantined_total{reason="unroutable"} 0x5 1x9`, "7m", "SluiceQuarantine"},
	{`sluice_consumer_handlers_stuck{team="pbx"} 1x9`, "5m", "SluiceHandlersStuck pbx"},

	{`sluice_request_duration_seconds_bucket{le="1"} 0+99x20
sluice_request_duration_seconds_bucket{le="2.5"} 0+100x20
sluice_request_duration_seconds_bucket{le="+Inf"} 0+100x20`, "20m", ""},
	{`sluice_request_duration_seconds_bucket{le="1"} 0+98x20
sluice_request_duration_seconds_bucket{le="2.5"} 0+100x20
sluice_request_duration_seconds_bucket{le="+Inf"} 0+100x20`, "20m", "SluiceSlow"},

	{`up{job="sluice-gateway", instance="other"} 1 0x9`, "1m", ""},
	{`up{job="sluice-gateway", instance="other"} 1 0x9`, "2m", "SluiceGatewayDown"},
	{`up{job="sluice-consumer", instance="pbx"} 0x20`, "9m", ""},
	{`up{job="sluice-consumer", instance="pbx"} 0x20`, "10m", "SluiceConsumerNotScraped"},
}

func TestAlertsFireAtTheirThresholds(t *testing.T) {
	tests := "evaluation_interval: 1m\nrule_files: [" + filepath.Join(rig.Root(t), "deploy/prometheus/alerts.yml") + "]\ntests:\n"
	for n, c := range thresholds {
		tests += rulesTest(n, "up{job=\"sluice-gateway\"} 1x99\nsluice_stream_messages{stream=\"EVENTS\"} 1x99\n"+c.series, c.at, c.fires)
	}
	tests += rulesTest(len(thresholds), `up{job="sluice-gateway"} 1x99`, "4m", "") + rulesTest(len(thresholds)+1, `up{job="sluice-gateway"} 1x99`, "5m", "SluiceMetricsAbsent")
	file := filepath.Join(t.TempDir(), "tests.yml")
	write(t, file, tests)
	if err := rig.Promtool(t, "", "test", "rules", file); err != nil {
		t.Error(err)
	}
}

// rulesTest is a test of promtool: with these series, of the one stack that there is, these alerts fire and no others.
func rulesTest(n int, series, at, fires string) string {
	test := fmt.Sprintf("- name: %q\n  interval: 1m\n  input_series:\n", fmt.Sprintf("case %d, %s: %s", n, at, series))
	for line := range strings.Lines(series) {
		place := `{stack="it", instance="one", `
		if strings.Contains(line, "instance=") {
			place = `{stack="it", `
		}
		name, values, _ := strings.Cut(strings.TrimSpace(line), "} ")
		test += fmt.Sprintf("  - {series: %q, values: %q}\n", strings.Replace(name, "{", place, 1)+"}", values)
	}
	test += fmt.Sprintf("  promql_expr_test:\n  - eval_time: %s\n    expr: count by (alertname, team) (ALERTS{alertstate=\"firing\"})\n    exp_samples: [", at)
	if fires != "" {
		alert, team, _ := strings.Cut(fires, " ")
		labels := fmt.Sprintf("alertname=%q", alert)
		if team != "" {
			labels += fmt.Sprintf(", team=%q", team)
		}
		test += fmt.Sprintf("{labels: %q, value: 1}", "{"+labels+"}")
	}
	return test + "]\n"
}
