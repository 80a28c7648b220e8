// Command grammar reads lines as the admission policy decisions.tidegate.dev reads decisions: it evaluates the expressions of the
// shipped manifest with cel-go at the version of the API server. tests/grammar compares its answers with crates/core.
//
//	grammar config/admission/decisions.yaml < lines.ndjson > readings.ndjson
//
// A line is a JSON string, a reading a JSON object: {"ok":true,"by":"bob","verb":"deny","stage":""}.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// reading is what admission makes of one line. The fields after ok are set only if it is true. An error is a bug of the manifest:
// the server refuses such a line, but without a message that helps.
type reading struct {
	Ok    bool   `json:"ok"`
	By    string `json:"by"`
	Verb  string `json:"verb"`
	Stage string `json:"stage"`
	Error string `json:"error,omitempty"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "grammar:", err)
		os.Exit(1)
	}
}

func run(args []string, lines io.Reader, readings io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: grammar <manifest> < lines.ndjson")
	}
	manifest, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	policy, err := parse(manifest)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	out := bufio.NewWriter(readings)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	decoder := json.NewDecoder(lines)
	for {
		var line string
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(policy.read(line)); err != nil {
			return err
		}
	}
}
