package source

import (
	"net/http"
	"time"

	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Zorio is the contract of the Zorio platform's webhooks: the raw body alone is signed, and the event's name stands
// in it.
var Zorio = Source{
	Name:            zorio.Source,
	HeaderPrefix:    zorio.HeaderPrefix,
	HeaderTimestamp: zorio.HeaderTimestamp,
	Tolerance:       300 * time.Second,
	HeaderDelivery:  zorio.HeaderDelivery,
	HeaderSignature: zorio.HeaderSignature,
	Plausible:       signature.Plausible,
	Verify:          (*signature.Keys).Verify,
	EventName:       zorio.EventName,
	Patience:        5 * time.Second,
	GivesUp:         50,
	Answers: Answers{
		OK:        Answer{http.StatusOK, "OK"},
		Duplicate: Answer{http.StatusOK, "Duplicate"},
		Stale:     Answer{http.StatusBadRequest, "Stale timestamp"},
		Invalid:   Answer{http.StatusUnauthorized, "Invalid signature"},
	},
}
