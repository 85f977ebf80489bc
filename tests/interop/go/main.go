// The Go client SDKs, one subcommand each: clients NAME [ARGUMENT…]. Calls its SDK once for each line on stdin, and
// prints one line of JSON for each call: the three values, or {"error": …}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// The result of the SDK, with the member names of the sidecar's response.
type triple struct {
	AccessKeyId, AccessKeySecret, SecurityToken string
}

// Calls the SDK once.
type call func() (triple, error)

func main() {
	// Some SDKs print to stdout, which is for results only.
	results := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	build, known := clients[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "no such client:", os.Args[1])
		os.Exit(2)
	}
	var sdk call
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		results.Encode(result(&sdk, build))
	}
}

// Builds the client with the first call, as an application does, and again if that failed.
func result(sdk *call, build func(arguments []string) (call, error)) any {
	var err error
	if *sdk == nil {
		*sdk, err = build(os.Args[2:])
	}
	if err != nil {
		return failure(err)
	}
	got, err := (*sdk)()
	if err != nil {
		return failure(err)
	}
	return got
}

func failure(err error) map[string]string {
	return map[string]string{"error": err.Error()}
}
