package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// demo is the line that `idaas-sidecar demo --json` prints when the sidecar is ready.
type demo struct {
	EmulatorURL string `json:"emulatorUrl"`
	Env         map[string]string
}

var sidecar demo

// TestMain runs the tests against a sidecar with an emulated cloud: no account, no secret, no network.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// IDAAS_SIDECAR replaces the command, for a program that is not on PATH.
	program := strings.Fields(os.Getenv("IDAAS_SIDECAR"))
	if len(program) == 0 {
		program = []string{"idaas-sidecar"}
	}
	command := exec.Command(program[0], append(program[1:], "demo", "--json", "--port", "0", "--seed", "1")...)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "idaas-sidecar does not start: pip install idaas-credential-sidecar:", err)
		return 1
	}
	defer func() {
		command.Process.Signal(syscall.SIGTERM)
		command.Process.Signal(syscall.SIGINT) // a second signal ends the drain
		command.Wait()
	}()
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &sidecar)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "idaas-sidecar demo:", err)
		return 1
	}
	for name, value := range sidecar.Env {
		os.Setenv(name, value)
	}
	return m.Run()
}

func TestTheProgramHasTheRole(t *testing.T) {
	arn, err := CallerIdentity(sidecar.EmulatorURL)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(arn, "acs:ram::1234567890123456:role/demo-default/") {
		t.Errorf("unexpected role: %s", arn)
	}
}

func TestAnErrorOfTheCloudIsReported(t *testing.T) {
	response, err := http.Post(sidecar.EmulatorURL+"/_emulator/faults?name=sts-throttled", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()

	_, err = CallerIdentity(sidecar.EmulatorURL)
	if err == nil || err.Error() != "STS refused: Throttling.User" {
		t.Errorf("unexpected error: %v", err)
	}
}
