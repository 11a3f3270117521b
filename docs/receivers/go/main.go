package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	secret  = os.Getenv("WEBHOOK_SECRET")
	handled sync.Map // in production: your database, with a unique index on the key
)

func mac(key []byte, parts ...[]byte) []byte {
	sum := hmac.New(sha256.New, key)
	for _, part := range parts {
		sum.Write(part)
	}
	return sum.Sum(nil)
}

// X-Webhook-Signature: hex HMAC-SHA256 of the raw body, keyed with the secret as text. While a secret is being rotated, the
// old one signs in X-Webhook-Signature-Previous.
func verifyBody(header http.Header, body []byte) bool {
	expected := []byte(hex.EncodeToString(mac([]byte(secret), body)))
	return hmac.Equal(expected, []byte(header.Get("X-Webhook-Signature"))) ||
		hmac.Equal(expected, []byte(header.Get("X-Webhook-Signature-Previous")))
}

// webhook-signature (Standard Webhooks): covers the id and the time too, so that an old request cannot be replayed.
func verifyStandard(header http.Header, body []byte) bool {
	id, sent := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sent, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	expected := "v1," + base64.StdEncoding.EncodeToString(mac(key, []byte(id+"."+sent+"."), body))
	for _, one := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(one), []byte(expected)) {
			return true
		}
	}
	return false
}

func receive(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, 1<<20)) // the raw bytes: verify these, then parse
	// One of the two is enough.
	if err != nil || !verifyStandard(request.Header, body) || !verifyBody(request.Header, body) {
		response.WriteHeader(http.StatusUnauthorized)
		return
	}
	key := request.Header.Get("X-Idempotency-Key")
	if _, known := handled.LoadOrStore(key, true); !known {
		var event map[string]any
		if err := json.Unmarshal(body, &event); err == nil {
			fmt.Println(request.Header.Get("X-Webhook-Event"), key, len(event)) // queue the work here
		}
	}
	response.WriteHeader(http.StatusOK)
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(receive)))
}
