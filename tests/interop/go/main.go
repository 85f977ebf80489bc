// The Go client SDKs, one subcommand each: clients NAME [ARGUMENT…]. Asks its SDK once for each line on stdin, and
// answers each with one line of JSON: the three values, or {"error": …}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// What the SDK answered, under the names that the sidecar's own answer has.
type triple struct {
	AccessKeyId, AccessKeySecret, SecurityToken string
}

// Asks the SDK once.
type call func() (triple, error)

func main() {
	// Some SDKs print to stdout; the answers are ours alone.
	answers := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	build, known := clients[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "no such client:", os.Args[1])
		os.Exit(2)
	}
	var ask call
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		answers.Encode(answer(&ask, build))
	}
}

// Builds the client with the first call, as an application would, and again if that failed.
func answer(ask *call, build func(arguments []string) (call, error)) any {
	var err error
	if *ask == nil {
		*ask, err = build(os.Args[2:])
	}
	if err != nil {
		return failure(err)
	}
	got, err := (*ask)()
	if err != nil {
		return failure(err)
	}
	return got
}

func failure(err error) map[string]string {
	return map[string]string{"error": err.Error()}
}
