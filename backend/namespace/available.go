//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Available implements backend.Backend: it tries the whole of what only the
// kernel's settings can forbid, in a process that ends at once.
func (b *Backend) Available(context.Context) error {
	id, err := identityOf(b.options.Home.Dir("trial"))
	if err != nil {
		return err
	}
	t := newThread()
	defer t.close()
	cmd, said, err := launch(t, b.options.Self, trialArg, id, nil)
	if err != nil {
		return explainLaunch(err)
	}
	if err := cmd.Wait(); err != nil {
		return explainLaunch(fmt.Errorf("%w: %s", err, said))
	}
	return nil
}

// trial does inside what needs the namespaces' capabilities.
func trial() error {
	if err := becomeAgent(false); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	system, err := openTree("/usr", unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return err
	}
	system.Close()
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("loopback interface: %w", err)
	}
	if err := mountTmpfs(staging, "mode=0755"); err != nil {
		return err
	}
	if err := os.Chdir(staging); err != nil {
		return err
	}
	return makeProc()
}

// settings are the kernel's switches that forbid user namespaces: file, value
// that forbids, and what to do.
var settings = []struct{ file, forbids, remedy string }{
	{"/proc/sys/kernel/unprivileged_userns_clone", "0",
		"user namespaces are switched off for ordinary users; enable them: sudo sysctl -w kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/user/max_user_namespaces", "0",
		"user namespaces are switched off; enable them: sudo sysctl -w user.max_user_namespaces=10000"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		"AppArmor restricts user namespaces to programs that have a profile; allow them: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
}

// explainLaunch says what to enable where the kernel refused.
func explainLaunch(err error) error {
	for _, setting := range settings {
		content, readErr := os.ReadFile(setting.file)
		if readErr == nil && strings.TrimSpace(string(content)) == setting.forbids {
			return fmt.Errorf("%s (or use the docker backend): %w", setting.remedy, err)
		}
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the kernel, or the container that this runs in, allows no user namespaces; "+
			"allow them there (docker: --security-opt seccomp=unconfined), or use the docker backend: %w", err)
	}
	return fmt.Errorf("namespaces: %w", err)
}
