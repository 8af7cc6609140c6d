package fold

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func draw(t *rapid.T) Entry {
	return Entry{
		Kind: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "kind"), At: time.Unix(rapid.Int64Range(0, 1).Draw(t, "at"), 0),
		Tenant: rapid.SampledFrom([]string{"", "5", "6"}).Draw(t, "tenant"), Data: json.RawMessage(rapid.SampledFrom([]string{`{}`, `{"x":1}`}).Draw(t, "data")),
	}
}

func TestTheNewestIsTheSameInWhateverOrderEntriesCome(t *testing.T) {
	of := func(entries []Entry) Newest {
		newest := Newest{}
		for _, e := range entries {
			newest.Add(e)
		}
		return newest
	}
	rapid.Check(t, func(r *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(draw), 1, 5).Draw(r, "entries")
		again := append(entries[:len(entries):len(entries)], rapid.SampledFrom(entries).Draw(r, "again"))
		if a, b := of(entries), of(rapid.Permutation(again).Draw(r, "order")); !reflect.DeepEqual(a, b) {
			r.Fatalf("%v\n%v", a, b)
		}
	})
}

func TestFirstAndTenant(t *testing.T) {
	newest := Newest{"a": {At: time.Unix(2, 0), Tenant: "5"}, "b": {At: time.Unix(1, 0), Tenant: "6"}, "c": {At: time.Unix(3, 0)}}
	if at := newest.First("a", "b", "c"); !at.Equal(time.Unix(1, 0)) {
		t.Errorf("the first is at %s", at)
	}
	if at := newest.First("d"); !at.IsZero() {
		t.Errorf("the first of none is at %s", at)
	}
	if tenant := Tenant(newest.InOrder("a", "b", "c")); tenant != "5" {
		t.Errorf("tenant %q", tenant)
	}
}

func TestValuesOfJSON(t *testing.T) {
	type row struct {
		Text    zorio.Text    `json:"text"`
		Number  zorio.Number  `json:"number"`
		Integer zorio.Integer `json:"integer"`
		Time    zorio.Time    `json:"time"`
	}
	read := func(bodies ...string) ([]any, error) {
		var r row
		var entries []Entry
		for _, body := range bodies {
			entries = append(entries, Entry{Data: json.RawMessage(body)})
		}
		err := Overlay(&r, entries)
		return []any{r.Text.Value(), r.Number.Value(), r.Integer.Value(), r.Time.Value()}, err
	}
	at := time.Date(2026, 11, 23, 3, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		bodies []string
		want   []any
	}{
		{[]string{`{}`}, []any{nil, nil, nil, nil}},
		{[]string{`{"text":"a","number":1.5,"integer":7,"time":"2026-11-23T03:30:00Z"}`}, []any{"a", 1.5, int64(7), at}},
		{[]string{`{"text":12,"integer":0,"time":""}`}, []any{"12", nil, int64(0), nil}},
		{[]string{`{"text":"a","number":1,"integer":7,"time":"2026-11-23T10:30:00+07:00"}`, `{"text":null,"number":null,"integer":null,"time":null}`}, []any{"a", 1.0, int64(7), at}},
		{[]string{`{"text":"a\u0000b"}`}, []any{"a�b", nil, nil, nil}}, // as PostgreSQL can keep it
	} {
		if got, err := read(c.bodies...); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v (%v), want %v", c.bodies, got, err, c.want)
		}
	}
	for _, body := range []string{`{"text":{}}`, `{"text":true}`, `{"number":"many"}`, `{"integer":1.5}`, `{"time":"yesterday"}`} {
		if got, err := read(body); err == nil {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestDecode(t *testing.T) {
	e := &event.Event{Name: "a", Delivery: "id", Received: time.Unix(5, 0), Body: []byte(`{"timestamp":"2026-11-23T03:30:00.1234567Z","tenant_id":5,"data":{"x":1}}`)}
	want := Entry{Kind: "a", Delivery: "id", At: time.Date(2026, 11, 23, 3, 30, 0, 123456000, time.UTC), Tenant: "5", Data: json.RawMessage(`{"x":1}`)}
	if got, err := Decode(e); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (%v)\nwant %+v", got, err, want)
	}
	e.Body = []byte(`{"data":{}}`)
	if got, err := Decode(e); err != nil || !got.At.Equal(e.Received) || got.Tenant != "" {
		t.Errorf("without a time of its own: %+v (%v)", got, err)
	}
	e.Body = []byte(`{"data":7}`)
	if _, err := Decode(e); err == nil || !strings.Contains(err.Error(), `"data"`) {
		t.Errorf("without data: %v", err)
	}
}
