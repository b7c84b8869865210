package cluster

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"setu/e2e/secrets"
)

// shownLines bounds how much of each container's log a failed test shows: the
// end is where the trouble is.
const shownLines = "300"

// Logs returns all that it has written so far, over all its starts.
func (p *Process) Logs() string {
	p.t.Helper()
	logs, err := p.readLogs("all")
	if err != nil {
		p.t.Fatalf("%s: read logs: %v", p.name, err)
	}
	return logs
}

func (p *Process) readLogs(tail string) (string, error) {
	// Not the test's context: the logs are shown when that has ended.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := p.docker.ContainerLogs(ctx, p.container.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: tail})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var logs bytes.Buffer
	_, err = stdcopy.StdCopy(&logs, &logs, stream)
	return logs.String(), err
}

// findSecrets fails the test if it has written what nobody may see.
func (p *Process) findSecrets() {
	logs, err := p.readLogs("all")
	if err != nil {
		p.t.Logf("%s | no logs: %v", p.name, err)
	}
	for _, found := range secrets.In(logs) {
		p.t.Errorf("%s has written %s", p.name, found)
	}
}

func (p *Process) showLogs() {
	if !p.t.Failed() {
		return
	}
	logs, err := p.readLogs(shownLines)
	if err != nil {
		p.t.Logf("%s | no logs: %v", p.name, err)
		return
	}
	var shown strings.Builder
	for line := range strings.Lines(logs) {
		shown.WriteString("\n" + p.name + " | " + strings.TrimRight(line, "\n"))
	}
	p.t.Logf("the end of %s's log:%s", p.name, shown.String())
}
