package symbolize

import (
	"bytes"
	"os"
	"strings"
)

// readPlacement fills in the control group and what its path says: unit,
// container, pod.
//
// The pod's name is not in the path, its UID is. The name is the host name the
// kubelet gave the pod: HOSTNAME in the environment the process was started
// with, else /etc/hostname below its root. A pod on the host's network has the
// node's host name instead; then Pod is the UID. The namespace is the file
// beside the service account's token, where one is mounted. All three are the
// target's to forge: they name it, nothing is decided by them.
func (p *Process) readPlacement() {
	groups, err := readProcCgroup(p.PID)
	if err != nil {
		return
	}
	p.CGroup = readMemory(groups, readCgroupMounts())
	at := placementOf(cgroupPaths(groups))
	p.Unit, p.Container, p.PodUID = at.Unit, at.Container, at.PodUID
	if p.PodUID == "" {
		return
	}
	p.Pod, p.Namespace = readPod(p.PID)
	if p.Pod == "" {
		p.Pod = p.PodUID
	}
}

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// readPod finds the name and the namespace of the pod of a process.
func readPod(pid int) (name, namespace string) {
	if b, err := readBelowRoot(pid, namespaceFile); err == nil {
		namespace = validText(string(bytes.TrimSpace(b)))
	}
	if sameUTSNamespace(pid) {
		return "", namespace
	}
	if b, err := readBounded(procPath(pid, "environ"), maxEnviron); err == nil {
		name = hostnameOf(splitNUL(b))
	}
	if name == "" {
		if b, err := readBelowRoot(pid, "/etc/hostname"); err == nil {
			name = validText(string(bytes.TrimSpace(b)))
		}
	}
	return name, namespace
}

func hostnameOf(environ []string) string {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, "HOSTNAME="); ok {
			return v
		}
	}
	return ""
}

// sameUTSNamespace reports whether a process has the host's host name (ours,
// or that of PID 1).
func sameUTSNamespace(pid int) bool {
	theirs, err := os.Readlink(procPath(pid, "ns/uts"))
	if err != nil {
		return false
	}
	for _, host := range []string{"/proc/self/ns/uts", "/proc/1/ns/uts"} {
		if link, err := os.Readlink(host); err == nil && link == theirs {
			return true
		}
	}
	return false
}
