package signature_test

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/signature"
)

// While a secret is being rotated, both the old and the new one are accepted.
func Example() {
	keys, err := signature.New("the old secret", "the new secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"event": "pbx.call.hangup"}`)
	header := signature.Sign("the new secret", body)

	which, ok := keys.Verify([]byte(header), body)
	fmt.Println(ok, "with secret", which)

	_, ok = keys.Verify([]byte(header), append(body, ' '))
	fmt.Println(ok, "with a byte more")
	// Output:
	// true with secret 1
	// false with a byte more
}
