// A receiver in the shape of Zorio's sample for Go: net/http alone. Like that one it remembers nothing, and takes a
// repetition as it takes the first. While there is a file of the name in GONE, it answers 410.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	http.HandleFunc("POST /webhook", func(w http.ResponseWriter, r *http.Request) {
		status, text := answer(r)
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func answer(r *http.Request) (int, string) {
	if _, err := os.Stat(os.Getenv("GONE")); err == nil {
		return http.StatusGone, "Gone"
	}
	sent, err := strconv.ParseInt(r.Header.Get("X-Zorio-Timestamp"), 10, 64)
	if age := time.Since(time.Unix(sent, 0)).Abs(); err != nil || age > 300*time.Second {
		return http.StatusBadRequest, "Stale timestamp"
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest, "Unreadable"
	}
	mac := hmac.New(sha256.New, []byte(os.Getenv("ZORIO_WEBHOOK_SECRET")))
	mac.Write(body)
	expected := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	if !hmac.Equal([]byte(expected), []byte(r.Header.Get("X-Zorio-Signature"))) {
		return http.StatusUnauthorized, "Invalid signature"
	}
	var event struct{ Event string }
	if err := json.Unmarshal(body, &event); err != nil || event.Event != r.Header.Get("X-Zorio-Event") {
		return http.StatusUnprocessableEntity, "Another event"
	}
	fmt.Println("took", r.Header.Get("X-Zorio-Delivery"), event.Event)
	return http.StatusOK, "OK"
}
