// Package send makes test events of the samples that are known, signed as the sender would, and posts them.
package send

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluicehq/sluice/pkg/zorio"
)

// Delivery is one event on its way.
type Delivery struct {
	Name, ID string
	Body     []byte
}

// Sample is a new delivery of an event of that name; not known where there is no sample of it. No two have the same bytes.
func Sample(name string) (d Delivery, known bool) {
	body, known := zorio.Sample(name)
	return Delivery{Name: name, ID: uuid.NewString(), Body: distinct(body)}, known
}

// distinct gives the time of a sample a fraction of a second of its own. Of deliveries with the same bytes a gateway makes
// SLUICE_MAX_COPIES events in half an hour, and quarantines the rest. The second stays: the samples tell one story in order.
func distinct(sample []byte) []byte {
	return bytes.Replace(sample, []byte(`Z"`), fmt.Appendf(nil, `.%09dZ"`, time.Now().Nanosecond()), 1)
}

const mostAnswer = 1 << 10 // bytes

// Post sends a delivery once, signed with a secret, and returns the answer as "200 OK". An error of the client's is
// returned as it is: it names the URL.
func (d Delivery) Post(ctx context.Context, client *http.Client, url, secret string) (answer string, took time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(d.Body))
	if err != nil {
		return "", 0, err
	}
	request.Header = zorio.Headers(secret, d.Name, d.ID, time.Now(), d.Body)
	begin := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return "", 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	return fmt.Sprintf("%d %s", response.StatusCode, text), time.Since(begin), err
}

// remedies say what to do where a gateway did not take a delivery.
var remedies = map[string]string{
	"400": "the clock here and the gateway's may differ by more than 300 s: set them by NTP; `sluicectl refused list` shows what it refused",
	"401": "the gateway has another secret: sign with its own (--secret or ZORIO_WEBHOOK_SECRET)",
	"404": "the gateway takes webhooks at another path: use its SLUICE_PATH in the URL",
	"503": "it cannot store, or is at a bound: `sluicectl ready` says what is wrong",
}

// Taken is nil for an answer of 200, and otherwise an error that says what to do.
func Taken(answer string) error {
	status, text, _ := strings.Cut(answer, " ")
	switch {
	case status == "200":
		return nil
	case strings.HasPrefix(text, "This port takes"): // which says itself what to do
		return fmt.Errorf("the gateway refused it: %s", answer)
	}
	if remedy, known := remedies[status]; known {
		return fmt.Errorf("the gateway refused it (%s): %s", answer, remedy)
	}
	return fmt.Errorf("the gateway refused it: %s", answer)
}
