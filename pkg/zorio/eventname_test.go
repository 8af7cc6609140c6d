package zorio

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestEventName(t *testing.T) {
	for body, want := range map[string]string{
		`{"event":"a.b"}`: "a.b", ` { "data" : {"event":"inner"}, "event" : "last" } `: "last", `{"\u0065vent":"escaped.key"}`: "escaped.key",
		`{"event":"a","event":"a"}`: "a", `{"event":"\u0061"}`: "a",
	} {
		if got, err := EventName([]byte(body)); got != want || err != nil {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
	for body, want := range map[string]error{
		`[]`: errNotObject, ``: errNotObject, `{}`: errNoName, `{"Event":"a"}`: errNoName, `{"event":null}`: errNotString,
		`{"event":"a","event":"b"}`: errTwoNames, `{"event":"a"}{}`: errTrailing, `{"event":"a b"}`: errBadName, `{"private":!}`: errNotJSON, `{"private":1`: errNotJSON,
	} {
		_, err := EventName([]byte(body))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "private") {
			t.Errorf("the error quotes the body: %v", err)
		}
	}
	for _, name := range Names() {
		body, _ := Sample(name)
		if got, err := EventName(body); got != name || err != nil {
			t.Errorf("sample %s: %q, %v", name, got, err)
		}
	}
}

func FuzzEventName(f *testing.F) {
	for _, seed := range []string{`{"event":"a.b","data":{}}`, `{"event":"a","event":"b"}`, `{"\u0065vent":"x"}`, `[`, strings.Repeat(`{"a":`, 50)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		name, err := EventName(body)
		if err != nil {
			return
		}
		if !event.ValidName(name) {
			t.Fatalf("%q cannot be a subject", name)
		}
		var other map[string]json.RawMessage // what a team's parser sees
		if err := json.Unmarshal(body, &other); err != nil {
			t.Fatalf("routed as %q, and is no JSON: %v", name, err)
		}
		var seen string
		if err := json.Unmarshal(other["event"], &seen); err != nil || seen != name {
			t.Fatalf("routed as %q, and a team reads %q (%v)", name, seen, err)
		}
	})
}
