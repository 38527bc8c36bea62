package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"vmaleak/symbolize"
)

const (
	cureRoot      = "run it as root (sudo vmaleak …), or give it CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE"
	cureNamespace = "run vmaleak on the host, or the container with --pid=host (Kubernetes: hostPID: true)"
	cureUserns    = "run vmaleak in the host's user namespace (no rootless container, no unshare --user)"
)

// mayTrace says what keeps this process from tracing anything, and the cure.
func mayTrace(h symbolize.Host) error {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		return fmt.Errorf("start: /proc cannot be read: %w; as root: mount -t proc proc /proc", err)
	}
	var missing []string
	for _, c := range h.Caps.Missing() {
		if c != "CAP_SYS_PTRACE" { // needed for some targets only
			missing = append(missing, c)
		}
	}
	switch {
	case len(missing) > 0 && os.Geteuid() != 0:
		return fmt.Errorf("start: a user other than root may not load the probes (uid %d lacks %s): %s",
			os.Geteuid(), strings.Join(missing, " and "), cureRoot)
	case len(missing) > 0:
		return fmt.Errorf("start: this root lacks %s, without which the kernel refuses the probes: give them back (containers: --cap-add or --privileged; services: CapabilityBoundingSet=)",
			strings.Join(missing, " and "))
	case inUserNamespace():
		return errors.New("start: this process is root only in a user namespace of its own, and the kernel lets only the host's load probes: " + cureUserns)
	case !h.InitialPIDNamespace:
		return errors.New("start: this process is in a PID namespace of its own, so its PIDs are not those that the kernel reports: " + cureNamespace)
	}
	return nil
}

// inUserNamespace reports whether our capabilities count in a user namespace only.
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false // without /proc other checks speak first
	}
	return string(bytes.Join(bytes.Fields(b), []byte(" "))) != "0 0 4294967295"
}
