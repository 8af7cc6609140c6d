package zorio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Body is what Zorio posts and signs.
type Body struct {
	Event     string          `json:"event"`
	Timestamp Time            `json:"timestamp"` // when it happened
	TenantID  Text            `json:"tenant_id"` // AutoCall's alone have one
	Data      json.RawMessage `json:"data"`      // an object, whose fields depend on the event
}

// ParseBody takes the body of an event apart. The error says what is wrong with it; a retry is useless. Bytes that are
// not UTF-8 become U+FFFD, because databases refuse them.
func ParseBody(body []byte) (b Body, err error) {
	if err = Decode(bytes.ToValidUTF8(body, []byte("�")), &b); err != nil {
		return Body{}, fmt.Errorf("the body cannot be read: %w", err)
	}
	if len(b.Data) == 0 || b.Data[0] != '{' {
		return Body{}, errors.New(`the body has no object "data"`)
	}
	return b, nil
}

// Data reads the "data" of an event's body as one of the types of this package, such as [PBXCallHangup], or as one of
// the caller's own. What is missing, null or unknown is no error, because fields come and go without notice; what is
// there has to be of its type. The error says what is wrong; a retry is useless.
func Data[D any](body []byte) (data D, err error) {
	b, err := ParseBody(body)
	if err != nil {
		return data, err
	}
	if err = Decode(b.Data, &data); err != nil {
		return data, fmt.Errorf(`"data" cannot be read: %w`, err)
	}
	return data, nil
}

// Decode reads a JSON object as [json.Unmarshal] does. The error names the field that is wrong, and not its value, which
// is a person's data and does not belong into logs.
func Decode(object []byte, into any) error {
	err := json.Unmarshal(object, into)
	if err == nil {
		return nil
	}
	var fields map[string]json.RawMessage
	if wrong := json.Unmarshal(object, &fields); wrong != nil {
		return withoutValue(wrong)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		alone, _ := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if wrong := json.Unmarshal(alone, reflect.New(reflect.TypeOf(into).Elem()).Interface()); wrong != nil {
			return fmt.Errorf("%q %w", name, withoutValue(wrong))
		}
	}
	return withoutValue(err)
}

// withoutValue is an error of package json without the value that it quotes.
func withoutValue(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		kind, _, _ := strings.Cut(wrong.Value, " ") // "number 12.5"
		return fmt.Errorf("is a JSON %s, which is no %s", kind, wrong.Type)
	}
	return err
}
