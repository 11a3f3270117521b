// Publishes an event straight to NATS and waits until it is kept. Needs github.com/nats-io/nats.go.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	client, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stream, err := client.JetStream(nats.MaxWait(5 * time.Second))
	if err != nil {
		log.Fatal(err)
	}
	event, err := json.Marshal(map[string]any{
		"id":      "order-1003-paid",
		"source":  "shop/berlin",
		"subject": "order-1003",
		"data":    map[string]any{"order": "1003", "total": 12.5},
	})
	if err != nil {
		log.Fatal(err)
	}
	// The subject names the project and the type. An error here means: not accepted, publish it again later.
	ack, err := stream.Publish("fanfare.events.default.order.paid", event)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("kept order-1003-paid at", ack.Sequence)
}
