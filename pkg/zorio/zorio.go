// Package zorio is the sender's side of the contract: the headers Zorio sets, how it signs, and one sample body
// of each kind of event it sends.
package zorio

import (
	"embed"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/signature"
)

// Source is the name of the sender in subjects and headers.
const Source = "zorio"

// The headers of a delivery. Only the body is signed: not one of these is.
const (
	HeaderEvent     = "X-Zorio-Event"     // the event's name
	HeaderTimestamp = "X-Zorio-Timestamp" // seconds since 1970, UTC
	HeaderDelivery  = "X-Zorio-Delivery"  // a UUID
	HeaderSignature = "X-Zorio-Signature" // see package signature
)

// HeaderPrefix is what the names of all of Zorio's headers begin with.
const HeaderPrefix = "X-Zorio-"

// Headers returns what Zorio sets on a delivery of body at the time sent.
func Headers(secret, event, delivery string, sent time.Time, body []byte) http.Header {
	return http.Header{
		"Content-Type":  {"application/json; charset=utf-8"},
		HeaderEvent:     {event},
		HeaderTimestamp: {strconv.FormatInt(sent.Unix(), 10)},
		HeaderDelivery:  {delivery},
		HeaderSignature: {signature.Sign(secret, body)},
	}
}

//go:embed events/*.json
var samples embed.FS

// Names returns the names of all kinds of events, sorted.
func Names() []string {
	files, err := fs.Glob(samples, "events/*.json")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(file, "events/"), ".json")
	}
	slices.Sort(files)
	return files
}

// elsewhere are names of events that Zorio's documentation has only outside of its list.
var elsewhere = []string{
	"autocall.campaign.started", "autocall.campaign.paused", "autocall.campaign.resumed", "autocall.campaign.finished",
	"autocall.lead.dialed", "autocall.lead.answered", "autocall.lead.dtmf_pressed", "autocall.lead.transferred",
}

// Known returns the names of all events that Zorio is known to send. New ones come without notice.
func Known() []string { return append(Names(), elsewhere...) }

// Sample returns a sample body of one kind of event. The caller may change it.
func Sample(name string) (body []byte, known bool) {
	body, err := samples.ReadFile("events/" + name + ".json")
	return body, err == nil
}
