package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"setu/e2e/cluster"
)

// The interpreter is $SETU_E2E_PYTHON, or the system's, with its packages.
func TestStockPythonClient(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	clients := startScript(t, "testdata/stock_client.py")
	f := startFleet(t, cluster.RedisOptions{}, nil)
	tellStory(t, f, clients, "python", true)
}

// script is stock clients in a process of its own, which takes a line of
// JSON and answers with one.
type script struct {
	t       testing.TB
	in      io.Writer
	answers *bufio.Scanner
}

// interpreter runs the scripts, and hasPackages says whether it has what the scripts go by.
var (
	interpreter = cmp.Or(os.Getenv("SETU_E2E_PYTHON"), "/usr/bin/python3")
	hasPackages = sync.OnceValue(func() error {
		return exec.Command(interpreter, "-c", "import socketio, websocket, requests, aiohttp").Run()
	})
)

func startScript(t testing.TB, path string) *script {
	t.Helper()
	if err := hasPackages(); err != nil {
		skipOrFail(t, "needs "+interpreter+" with python-socketio and what it goes by: "+err.Error())
	}
	command := exec.Command(interpreter, "-B", path)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Process.Kill() // it may be waiting to reconnect
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s | %s", interpreter, complaints.String())
		}
	})
	answers := bufio.NewScanner(out)
	answers.Buffer(nil, 64<<20)
	return &script{t, in, answers}
}

func (s *script) do(ask map[string]any, out any) {
	s.t.Helper()
	s.begin(ask)
	s.end(ask, out)
}

// begin is do without the answer, for which end waits.
func (s *script) begin(ask map[string]any) {
	s.t.Helper()
	line, err := json.Marshal(ask)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		s.t.Fatalf("%s: %v", ask["do"], err)
	}
}

func (s *script) end(ask map[string]any, out any) {
	s.t.Helper()
	if !s.answers.Scan() {
		s.t.Fatalf("%s: no answer: %v", ask["do"], s.answers.Err())
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(s.answers.Bytes(), out); err != nil {
		s.t.Fatalf("%s: %v in %s", ask["do"], err, s.answers.Text())
	}
}
