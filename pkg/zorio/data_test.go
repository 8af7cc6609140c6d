package zorio_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/zorio"
)

// types are the data of each kind.
var types = map[string]any{
	"pbx.call.ringing": &zorio.PBXCallRinging{}, "pbx.call.answered": &zorio.PBXCallAnswered{},
	"pbx.call.hangup": &zorio.PBXCallHangup{}, "pbx.cdr.created": &zorio.PBXCDRCreated{},
	"telesales.lead.created": &zorio.TelesalesLeadCreated{}, "telesales.lead.updated": &zorio.TelesalesLeadUpdated{},
	"telesales.call.disposed": &zorio.TelesalesCallDisposed{}, "telesales.campaign.completed": &zorio.TelesalesCampaignCompleted{},
	"autocall.lead.added": &zorio.AutoCallLeadAdded{}, "autocall.lead.audio_ready": &zorio.AutoCallLeadAudioReady{},
	"autocall.lead.completed": &zorio.AutoCallLeadCompleted{}, "autocall.tts.render_failed": &zorio.AutoCallTTSRenderFailed{},
	"autocall.call.initiated": &zorio.AutoCallCallInitiated{}, "autocall.call.answered": &zorio.AutoCallCallAnswered{},
	"autocall.call.transferred": &zorio.AutoCallCallTransferred{}, "autocall.call.completed": &zorio.AutoCallCallCompleted{},
	"autocall.dtmf.pressed": &zorio.AutoCallDTMFPressed{}, "autocall.campaign.completed": &zorio.AutoCallCampaignCompleted{},
}

// Each kind's type has every field of its sample, and no field that the sample does not have.
func TestTheTypesAreThoseOfTheSamples(t *testing.T) {
	for _, name := range zorio.Names() {
		sample, _ := zorio.Sample(name)
		body, err := zorio.ParseBody(sample)
		if err != nil {
			t.Fatal(err)
		}
		data, known := types[name]
		if !known {
			t.Errorf("%s has no type", name)
			continue
		}
		strict := json.NewDecoder(bytes.NewReader(body.Data))
		strict.DisallowUnknownFields()
		if err := strict.Decode(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body.Data, &fields); err != nil {
			t.Fatal(err)
		}
		if got := tags(reflect.TypeOf(data).Elem()); len(got) != len(fields) {
			t.Errorf("%s: the type has %v, the sample %d fields", name, got, len(fields))
		}
	}
	if len(types) != len(zorio.Names()) {
		t.Errorf("%d types of %d kinds", len(types), len(zorio.Names()))
	}
}

func tags(of reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(of) {
		if tag := f.Tag.Get("json"); tag != "" {
			names = append(names, tag)
		}
	}
	return names
}

func TestDataStandsWhatIsMissingNullOrNew(t *testing.T) {
	for name, data := range types {
		for _, body := range []string{`{"data":{}}`, `{"data":{"new":[{"deep":1}]},"more":true}`, `{"data":` + nulls(data) + `}`} {
			into := reflect.New(reflect.TypeOf(data).Elem()).Interface()
			b, err := zorio.ParseBody([]byte(body))
			if err == nil {
				err = json.Unmarshal(b.Data, into)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", name, body, err)
			}
		}
	}
}

func nulls(data any) string {
	names := tags(reflect.TypeOf(data).Elem())
	slices.Sort(names)
	return `{"` + strings.Join(names, `":null,"`) + `":null}`
}

func TestDataSaysWhatIsWrongWithABody(t *testing.T) {
	for body, want := range map[string]string{
		`{`: "the body cannot be read", `{}`: `no object "data"`, `{"data":[]}`: `no object "data"`, `{"data":null}`: `no object "data"`,
		`{"data":{"billsec":"secret"}}`:           `"data" cannot be read: "billsec" is not a number`,
		`{"data":{"ended_at":"secret"}}`:          `"data" cannot be read: "ended_at" is not an ISO 8601 time`,
		`{"data":{"call_uuid":{"a":"secret"}}}`:   `"data" cannot be read: "call_uuid" is neither a string nor a number`,
		`{"timestamp":"secret","data":{}}`:        `the body cannot be read: "timestamp" is not an ISO 8601 time`,
		`{"event":{"secret":1},"data":{}}`:        `the body cannot be read: "event" is a JSON object, which is no string`,
		`{"event":7777777,"data":{}}`:             `"event" is a JSON number, which is no string`,
		`{"data":{"billsec":"secret","else":1}}x`: "the body cannot be read",
	} {
		_, err := zorio.Data[zorio.PBXCallHangup]([]byte(body))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "777") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
