// Reads events with the CloudEvents SDK for Go, as a subscriber would. Arguments: the files.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

func read(text []byte) error {
	var event cloudevents.Event
	if err := json.Unmarshal(text, &event); err != nil {
		return err
	}
	return event.Validate()
}

func main() {
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fail(path, err)
		}
		if err := read(text); err != nil {
			fail(path, err)
		}
		// What this check is for: a relative dataschema must not pass it.
		relative := strings.Replace(string(text), `"urn:wharfinger:events:`, `"/v1/schemas/`, 1)
		if read([]byte(relative)) == nil {
			fail(path, fmt.Errorf("a relative dataschema was accepted"))
		}
	}
	fmt.Printf("go: %d events\n", len(os.Args)-1)
}

func fail(path string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
	os.Exit(1)
}
