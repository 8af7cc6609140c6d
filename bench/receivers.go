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
	case "plain":
		log.Fatal(http.ListenAndServe(address, http.HandlerFunc(plain)))
	}
	log.Fatalf("no receiver %q", role)
}

var logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))

// plain does what the sender asks of a receiver, logging of payload and delivery id included, and keeps nothing: no
// deduplication, no queue.
func plain(w http.ResponseWriter, r *http.Request) {
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
	var webhook struct {
		Event     string         `json:"event"`
		Timestamp time.Time      `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}
	if err := json.Unmarshal(body, &webhook); err != nil {
		http.Error(w, "Bad request", http.StatusBadRequest)
		return
	}
	logger.Info("webhook", "event", webhook.Event, "delivery", r.Header.Get(zorio.HeaderDelivery), "payload", string(body))
	_, _ = io.WriteString(w, "OK")
}
