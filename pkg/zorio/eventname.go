package zorio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// Why a body has no usable event name.
var (
	errNotObject = errors.New("the body is not a JSON object")
	errNotJSON   = errors.New("the body is not JSON")
	errNoName    = errors.New(`the body has no "event"`)
	errNotString = errors.New(`"event" is not a string`)
	errTwoNames  = errors.New(`the body has two different "event"s`) // parsers downstream would disagree about it
	errTrailing  = errors.New("there is more after the JSON object")
	errBadName   = errors.New("the event name cannot be a subject: it takes letters, digits, _ and - between single dots, at most 128 bytes")
)

// EventName returns the string under the key "event" of a JSON object. The whole body is read, so that what is
// routed is JSON to its end.
func EventName(body []byte) (string, error) {
	r := readers.Get().(*reader)
	defer readers.Put(r)
	r.buf = *bytes.NewBuffer(body)
	r.dec.Reset(&r.buf, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	name, err := r.name()
	if err != nil {
		return "", err
	}
	if !event.ValidName(name) {
		return "", errBadName
	}
	return name, nil
}

// reader is a decoder that is used again; jsontext reads a bytes.Buffer in place.
type reader struct {
	dec jsontext.Decoder
	buf bytes.Buffer
}

var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) name() (name string, err error) {
	if open, err := r.dec.ReadToken(); err != nil || open.Kind() != '{' {
		return "", errNotObject
	}
	found := false
	for r.dec.PeekKind() != '}' {
		another, isEvent, err := r.member()
		if err != nil {
			return "", err
		}
		if isEvent && found && another != name {
			return "", errTwoNames
		}
		if isEvent {
			name, found = another, true
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return "", notJSON(err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return "", errTrailing
	}
	if !found {
		return "", errNoName
	}
	return name, nil
}

// member reads one key and its value.
func (r *reader) member() (value string, isEvent bool, err error) {
	key, err := r.dec.ReadValue()
	if err != nil {
		return "", false, notJSON(err)
	}
	if !isEventKey(key) {
		if err := r.dec.SkipValue(); err != nil {
			return "", false, notJSON(err)
		}
		return "", false, nil
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return "", true, notJSON(err)
	}
	if token.Kind() != '"' {
		return "", true, errNotString
	}
	return token.String(), true, nil
}

// isEventKey compares a quoted key; escapes in it count as what they stand for.
func isEventKey(quoted []byte) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted) == `"event"`
	}
	key, err := jsontext.AppendUnquote(nil, quoted)
	return err == nil && string(key) == "event"
}

// notJSON says where, and not what is there: jsontext's own words quote keys of the body, which do not belong in a log.
func notJSON(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return errNotJSON
	}
	return fmt.Errorf("%w from byte %d on", errNotJSON, syntax.ByteOffset)
}
