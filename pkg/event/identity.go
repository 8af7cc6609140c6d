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

// maxDelivery is the longest delivery id that is taken as it is, in bytes; the sender's are UUIDs of 36.
const maxDelivery = 128

// IdentityOf is the [Identity] of a delivery as it came, with the signature's 64 digits. An id that is missing or
// cannot be one is replaced by one derived from the signature, because headers are not signed: they cannot make an
// authentic body invalid.
func IdentityOf(delivery, signatureHex string) string {
	if !validDelivery(delivery) {
		return Identity("sig-"+signatureHex[:32], signatureHex)
	}
	return Identity(delivery, signatureHex)
}

func validDelivery(id string) bool {
	if len(id) == 0 || len(id) > maxDelivery {
		return false
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
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
