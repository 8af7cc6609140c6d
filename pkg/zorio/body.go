package zorio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Body is what Zorio posts and signs.
type Body struct {
	Event     string          `json:"event"`
	Timestamp Time            `json:"timestamp"` // when it happened
	TenantID  Text            `json:"tenant_id"` // AutoCall's alone have one
	Data      json.RawMessage `json:"data"`      // an object, whose fields depend on the event
}

// ParseBody takes the body of an event apart. The error says what is wrong with it; trying again would not mend it.
// Bytes that are not UTF-8 become U+FFFD, because databases refuse them.
func ParseBody(body []byte) (b Body, err error) {
	if err := json.Unmarshal(bytes.ToValidUTF8(body, []byte("�")), &b); err != nil {
		return Body{}, fmt.Errorf("the body cannot be read: %w", err)
	}
	if len(b.Data) == 0 || b.Data[0] != '{' {
		return Body{}, errors.New(`the body has no object "data"`)
	}
	return b, nil
}

// Data reads the "data" of an event's body as one of the types of this package, such as [PBXCallHangup], or as one of
// the caller's own. What is missing, null or unknown is no error, because fields come and go without notice; what is
// there has to be of its type. The error says what is wrong; trying again would not mend it.
func Data[D any](body []byte) (data D, err error) {
	b, err := ParseBody(body)
	if err != nil {
		return data, err
	}
	if err := json.Unmarshal(b.Data, &data); err != nil {
		return data, fmt.Errorf(`"data" cannot be read: %w`, err)
	}
	return data, nil
}
