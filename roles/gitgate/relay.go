package gitgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// maxStatus bounds what an upstream reports of the references.
const maxStatus = 4 << 20

// forward sends the very bytes that were judged and relays the upstream's
// report.
func (p *push) forward(ctx context.Context) {
	reply, err := p.repo.upstream.request(ctx, receivePack, pushProtocol(p.http), p.spooled.section(0))
	if err != nil {
		p.lost(err, nil)
		return
	}
	defer reply.Close()
	status, err := p.relay(reply)
	if err != nil {
		p.lost(err, status)
		return
	}
	outcome := outcomes(status)
	if err := p.write("relayed", map[string]any{"outcome": outcome}); err != nil {
		p.log.Error("the audit log cannot be written", "error", err.Error())
	}
	if !strings.Contains(outcome, "ng ") && p.pack != nil {
		p.repo.memory.keep(p.pack)
	}
}

// relay passes the upstream's answer on until its end, and returns the status
// of the references in it.
func (p *push) relay(reply io.Reader) (status []byte, err error) {
	for {
		line, kind, err := readPkt(reply)
		switch {
		case errors.Is(err, io.EOF) && !p.request.status && !p.request.sideband:
			return nil, nil // the client asked for no report
		case err != nil:
			return status, err
		case kind == pktFlush:
			if p.request.sideband && !statusWhole(status) && p.request.status {
				return status, errors.New("the report has no end")
			}
			p.report.raw([]byte("0000"))
			return status, nil
		case kind != pktData || len(line) == 0: // git sends no empty line
			return status, errors.New("the upstream answers in another protocol")
		}
		if !p.request.sideband {
			status = append(status, line...)
			var raw bytes.Buffer
			_ = pktline.NewEncoder(&raw).Encode(line)
			p.report.raw(raw.Bytes())
			continue
		}
		switch band, data := line[0], line[1:]; band {
		case bandStatus:
			if len(status)+len(data) > maxStatus {
				return status, errors.New("the upstream's report is too long")
			}
			status = append(status, data...)
			p.report.band(bandStatus, data)
		case bandProgress, bandError:
			p.report.band(band, []byte(p.scanner.Redact(string(data))))
		default:
			return status, errors.New("the upstream answers on a band that is none")
		}
	}
}

func statusWhole(status []byte) bool { return bytes.HasSuffix(status, []byte("0000")) }

// lost tells the client that the upstream's answer is not known.
func (p *push) lost(cause error, status []byte) {
	reason := p.scanner.Redact(cause.Error())
	if errors.Is(cause, io.EOF) {
		reason = "it hung up"
	}
	p.log.Warn("upstream failed during a push", "repository", p.repo.name, "error", reason)
	if err := p.write("upstream", map[string]any{"reason": reason}); err != nil {
		p.log.Error("the audit log cannot be written", "error", err.Error())
	}
	p.report.say("git-gate: upstream: " + reason)
	if len(status) == 0 {
		p.report.rejected("git-gate: upstream failed")
		return
	}
	if p.request.sideband {
		p.report.band(bandError, []byte("git-gate: upstream: its report broke off; fetch to see what became of the push\n"))
		p.report.end()
	}
}

// outcomes shortens a status for the audit log.
func outcomes(status []byte) string {
	var lines []string
	for in := bytes.NewReader(status); len(lines) < 50; {
		line, kind, err := readPkt(in)
		if err != nil || kind != pktData {
			break
		}
		lines = append(lines, strings.TrimSpace(string(line)))
	}
	if len(lines) == 0 {
		return fmt.Sprintf("%d bytes of report", len(status))
	}
	return strings.Join(lines, "; ")
}
