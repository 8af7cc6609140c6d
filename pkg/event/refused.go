package event

// Headers of a request that became no new event, in addition to the sender's own and [HeaderSource], [HeaderReceived]
// and [HeaderReason].
const (
	HeaderAnswer  = "Sluice-Answer"  // status and text
	HeaderPeer    = "Sluice-Peer"    // where it came from
	HeaderRequest = "Sluice-Request" // its first line, without the query
	HeaderBody    = "Sluice-Body"    // whether the body is whole, cut or was not read
	HeaderTook    = "Sluice-Took"    // from its headers to its answer, as time.Duration writes it
)

// RefusedSubject is the subject of the last requests that became no new event for a cause.
func RefusedSubject(source, cause string) string { return "refused." + source + "." + cause }
