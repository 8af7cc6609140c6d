package event

import "strings"

// signaturePrefix is how many hex digits of the signature an identity carries: 64 bits, beside a delivery id
// that has to be equal too.
const signaturePrefix = 16

// Identity joins a delivery id and the lowercase hex digits of the delivery's signature: id + "/" + the first 16.
// Senders sign the body and not the id, so an id alone proves nothing: another body under a known id is
// another event.
func Identity(delivery, signatureHex string) string {
	return delivery + "/" + signatureHex[:min(signaturePrefix, len(signatureHex))]
}

// DeliveryOf returns the delivery id inside an identity. An identity that is the signature alone is its own
// delivery id.
func DeliveryOf(identity string) string {
	delivery, _ := SplitIdentity(identity)
	return delivery
}

// SplitIdentity undoes [Identity]. For an identity without a "/" both parts are the whole of it.
func SplitIdentity(identity string) (delivery, signature string) {
	if cut := strings.LastIndexByte(identity, '/'); cut >= 0 {
		return identity[:cut], identity[cut+1:]
	}
	return identity, identity
}
