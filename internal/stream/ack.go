package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// Ack is JetStream's acknowledgement that a message is stored.
type Ack struct {
	Stream    string
	Sequence  uint64
	Duplicate bool // it was stored before it was published, under the same Nats-Msg-Id; Sequence is that of the first
}

// parseAck reads JetStream's answer to a publish. An error says why the message is not stored.
func parseAck(answer *nats.Msg) (Ack, error) {
	if ack, plain := plainAck(answer.Data); plain {
		return ack, nil
	}
	if len(answer.Data) == 0 && answer.Header.Get("Status") == "503" {
		return Ack{}, nats.ErrNoResponders
	}
	return decodeAck(answer.Data)
}

// plainAck reads the form in which nats-server writes every acknowledgement of a new message, to the byte (stream.go,
// pubAck): {"stream":"EVENTS","seq":1}. It is not plain otherwise, and then JSON decides.
func plainAck(data []byte) (ack Ack, plain bool) {
	rest, isAck := bytes.CutPrefix(data, []byte(`{"stream":"`))
	name, rest, named := bytes.Cut(rest, []byte(`","seq":`))
	digits, ended := bytes.CutSuffix(rest, []byte(`}`))
	if !isAck || !named || !ended || !isName(name) || len(digits) > 0 && digits[0] == '0' {
		return Ack{}, false
	}
	sequence, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return Ack{}, false
	}
	return Ack{Stream: streamName(name), Sequence: sequence}, true
}

// isName reports whether a JSON string means its own bytes and nothing ends it early.
func isName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return len(name) > 0
}

// streamName saves a copy of the one name that nearly every acknowledgement has.
func streamName(name []byte) string {
	if string(name) == Events {
		return Events
	}
	return string(name)
}

func decodeAck(data []byte) (Ack, error) {
	var body struct {
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
		Stream    string `json:"stream"`
		Sequence  uint64 `json:"seq"`
		Duplicate bool   `json:"duplicate"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return Ack{}, fmt.Errorf("JetStream's answer is not an acknowledgement: %w", err)
	}
	if body.Error != nil {
		return Ack{}, refusal(body.Error.Code, body.Error.Description)
	}
	if body.Stream == "" || body.Sequence == 0 {
		return Ack{}, errors.New("JetStream's answer is not an acknowledgement")
	}
	return Ack{Stream: body.Stream, Sequence: body.Sequence, Duplicate: body.Duplicate}, nil
}
