package ingest

import "github.com/sluicehq/sluice/gateway/source"

// What is done about it.
const (
	signatureRemedy = "compare ZORIO_WEBHOOK_SECRET with the sender's console, and send SIGHUP after a change of its file; sluicectl refused and sluicectl verify --refused show what came"
	clockRemedy     = "compare this machine's clock with the sender's (timedatectl): stale deliveries are answered 400 and lie in QUARANTINE; sluicectl quarantine release --reason late makes events of them"
	refusedRemedy   = "sluicectl refused shows what came"
	bodyRemedy      = "raise SLUICE_MAX_BODY, and max_payload of NATS with it"
	headRemedy      = "let the proxy in front add less, or nothing; " + refusedRemedy
	loadRemedy      = "see sluice_requests_in_flight and sluice_request_duration_seconds: raise SLUICE_MAX_INFLIGHT and SLUICE_MAX_INFLIGHT_BYTES, or run another gateway"
	openRemedy      = "raise SLUICE_MAX_CONNECTIONS and SLUICE_MAX_CONNECTIONS_PER_IP, and the limit of open files with them, or close idle connections in the proxy in front"
	plainRemedy     = "use https:// there, or unset SLUICE_TLS_CERT and SLUICE_TLS_ACME behind a proxy that ends TLS"
	tlsRemedy       = "set SLUICE_TLS_CERT and SLUICE_TLS_KEY, or SLUICE_TLS_ACME, or point the URL at the proxy that ends TLS"
	storeRemedy     = "see what /readyz says of nats"
	restartRemedy   = "see the log for why it stops"
)

// explain says of each refusal what it may come from when the sender gets it again and again.
func (a *answers) explain() {
	for _, one := range []struct {
		of            *answer
		cause, remedy string
	}{
		{a.invalid, "was the secret rotated?", signatureRemedy},
		{a.stale, "was the secret rotated, and are these late retries?", signatureRemedy},
		{a.quarantinedLate, "is a clock wrong, or are these late retries?", clockRemedy},
		{a.notFound, "does the URL in the sender's console end in SLUICE_PATH?", "correct one of them; " + refusedRemedy},
		{a.wrongMethod, "does a redirect in front turn POST into GET?", "register the URL that it leads to; " + refusedRemedy},
		{a.malformed, "does a proxy in front change requests?", "let it pass them on as they come; " + refusedRemedy},
		{a.unexpected, "does a proxy in front change requests?", "let it pass them on as they come; " + refusedRemedy},
		{a.tooLarge, "are bodies larger than SLUICE_MAX_BODY or the max_payload of NATS?", bodyRemedy},
		{a.headerTooLarge, "does a proxy in front add headers?", headRemedy},
		{a.timeout, "does a proxy in front hold bodies back, or is the network slow?", "see the proxy's log"},
		{a.overloaded, "is it too slow for what comes, or a limit too low?", loadRemedy},
		{a.crowded, "are too many connections open?", openRemedy},
		{a.crowdedByOne, "does everything come through one proxy?", openRemedy},
		{a.needsTLS, "does the URL in the sender's console, or the proxy in front, say http:// ?", plainRemedy},
		{a.takesNoTLS, "does the sender's URL lead to the gateway itself, which has no certificate?", tlsRemedy},
		{a.notStored, "does NATS not store?", storeRemedy},
		{a.unstorable, "are limits of NATS below the gateway's?", "raise max_payload of NATS, or lower SLUICE_MAX_BODY"},
		{a.starting, "does NATS not store yet?", storeRemedy},
		{a.stopping, "does the gateway start again and again?", restartRemedy},
		{a.broken, "is there a bug in the gateway?", "see the log for the panic, and report it"},
	} {
		one.of.cause, one.of.remedy = one.cause, one.remedy
	}
}

// describe says why an answer is given, for those where the request itself does not say.
func (a *answers) describe() {
	for of, about := range map[*answer]string{
		a.duplicate:           "this delivery is stored already, under the same id and signature",
		a.quarantinedReplayed: "more deliveries of one signature than SLUICE_MAX_COPIES allows",
		a.tooLarge:            "larger than what NATS takes",
		a.notStored:           "NATS did not store it in time",
		a.unstorable:          "a limit of NATS is below the gateway's own",
		a.starting:            "NATS cannot store yet",
		a.stopping:            "the gateway is stopping",
		a.broken:              "a fault in the gateway, which its log names",
		a.crowded:             "more connections than SLUICE_MAX_CONNECTIONS",
		a.crowdedByOne:        "more connections from one address than SLUICE_MAX_CONNECTIONS_PER_IP",
	} {
		of.about = about
	}
}

// tooSlow stands for an answer that came after the sender had given up.
func tooSlow() *answer {
	return &answer{Answer: source.Answer{Text: "answered too late"}, label: "too_slow", cause: "is this machine too busy?", remedy: "see its load, and sluice_request_duration_seconds"}
}
