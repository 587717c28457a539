package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/audit"
)

// scenarios run in processes of their own.
var scenarios = map[string]func(dir string){
	"write until killed": func(dir string) {
		log, err := audit.Open(filepath.Join(dir, "bundle.jsonl"), audit.Options{SegmentBytes: 20_000})
		check(err)
		for i := 1; ; i++ {
			check(log.Append(request(i)))
			_, err := fmt.Println(i)
			check(err)
		}
	},
	"full disk": fullDisk,
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func scenario(name, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AUDIT_TEST_SCENARIO="+name, "AUDIT_TEST_DIR="+dir)
	return cmd
}

func TestKilledWriterLeavesAChainThatContinues(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bundle.jsonl")
	var acknowledged uint64
	for round := range 3 {
		cmd := scenario("write until killed", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		for seen := 0; seen < 300; {
			n, err := out.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			seen += bytes.Count(buf[:n], []byte("\n"))
			acknowledged += uint64(bytes.Count(buf[:n], []byte("\n")))
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		report, err := audit.Verify(path)
		if err != nil {
			t.Fatal(err)
		}
		if report.Records < acknowledged {
			t.Fatalf("round %d: %d records were acknowledged, %d are there", round, acknowledged, report.Records)
		}
		if report.Broken != nil && !strings.Contains(report.Broken.Why, "torn") {
			t.Fatalf("round %d: %v", round, report.Broken)
		}
		acknowledged = report.Records
	}
	log := mustOpen(t, path, audit.Options{})
	appendN(t, log, 1)
	mustClose(t, log)
	verifies(t, path, acknowledged+1)
}

func TestFullDiskRefusesAndHeals(t *testing.T) {
	cmd := scenario("full disk", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// fullDisk fills a small tmpfs, expects Append to fail, makes room, and expects
// it to work again on an unbroken chain.
func fullDisk(dir string) {
	check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"))
	ballast := filepath.Join(dir, "ballast")
	check(os.WriteFile(ballast, make([]byte, 384<<10), 0o600))
	path := filepath.Join(dir, "bundle.jsonl")
	log, err := audit.Open(path, audit.Options{SegmentBytes: 50_000})
	check(err)
	written := uint64(0)
	fill := func() {
		for range 10_000 {
			err = log.Append(request(1))
			if err != nil {
				break
			}
			written++
		}
		if !errors.Is(err, unix.ENOSPC) {
			check(fmt.Errorf("a full disk answered %w", err))
		}
	}
	fill()
	fill() // still full
	report, err := audit.Verify(path)
	check(err)
	if report.Broken != nil || report.Records != written {
		check(fmt.Errorf("full: %+v, want %d records", report, written))
	}
	// What nobody waits for outlives it, so much of it as is bounded.
	kept := 0
	for range 600 {
		if log.AppendLater(request(3)) == nil {
			kept++
		}
	}
	if kept != 512 {
		check(fmt.Errorf("%d records wait for a full disk, want 512", kept))
	}
	written += uint64(kept)
	check(os.Remove(ballast))
	for range 100 {
		check(log.Append(request(2)))
		written++
	}
	check(log.Close())
	report, err = audit.Verify(path)
	check(err)
	if report.Broken != nil || report.Records != written {
		check(fmt.Errorf("healed: %+v, want %d records", report, written))
	}
}
