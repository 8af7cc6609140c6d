package main

import (
	"crypto/hmac"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// serveAs makes this process one of the receivers that the gateway is compared with.
func serveAs(role, address string) {
	switch role {
	case "static":
		log.Fatal(fasthttp.ListenAndServe(address, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("OK") }))
	case "blind":
		log.Fatal(http.ListenAndServe(address, receiver(logUnread)))
	case "plain":
		log.Fatal(http.ListenAndServe(address, receiver(logRead)))
	}
	log.Fatalf("no receiver %q", role)
}

var logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))

// receiver does what the sender asks of one, and keeps nothing: no deduplication, no queue.
func receiver(process func(w http.ResponseWriter, header http.Header, body []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "Bad request", http.StatusBadRequest)
			return
		}
		sent, _ := strconv.ParseInt(r.Header.Get(zorio.HeaderTimestamp), 10, 64)
		if time.Since(time.Unix(sent, 0)).Abs() > 300*time.Second {
			http.Error(w, "Stale timestamp", http.StatusBadRequest)
			return
		}
		if !hmac.Equal([]byte(signature.Sign(secret, body)), []byte(r.Header.Get(zorio.HeaderSignature))) {
			http.Error(w, "Invalid signature", http.StatusUnauthorized)
			return
		}
		process(w, r.Header, body)
	}
}

// logUnread logs payload and delivery id, and never looks into the body.
func logUnread(w http.ResponseWriter, header http.Header, body []byte) {
	logger.Info("webhook", "event", header.Get(zorio.HeaderEvent), "delivery", header.Get(zorio.HeaderDelivery), "payload", string(body))
	_, _ = io.WriteString(w, "OK")
}

// logRead reads the JSON first, as whoever is to do something about an event has to: the event's name in the header is
// not signed.
func logRead(w http.ResponseWriter, header http.Header, body []byte) {
	var webhook struct {
		Event     string         `json:"event"`
		Timestamp time.Time      `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}
	if err := json.Unmarshal(body, &webhook); err != nil {
		http.Error(w, "Bad request", http.StatusBadRequest)
		return
	}
	logger.Info("webhook", "event", webhook.Event, "delivery", header.Get(zorio.HeaderDelivery), "payload", string(body))
	_, _ = io.WriteString(w, "OK")
}
