package symbolize

import (
	"regexp"
	"strings"
)

// placement is what the path of a control group says of its processes.
type placement struct {
	Unit      string   // innermost systemd unit that is not a container's scope
	Units     []string // every such unit on the path, outermost first
	PodUID    string
	Container string // innermost
}

var (
	// The file names of container runtimes: a scope of systemd or, with the
	// cgroupfs driver, the bare id.
	containerScope = regexp.MustCompile(`^(?:docker|cri-containerd|crio|libpod|containerd|nerdctl|podman|garden)-(?:conmon-)?([0-9a-f]{12,64})\.scope$`)
	containerID    = regexp.MustCompile(`^(?:crio-|libpod-|docker-)?([0-9a-f]{64})$`)
	podPart        = regexp.MustCompile(`^(?:kubepods(?:-besteffort|-burstable|-guaranteed)?-)?pod([0-9a-fA-F][0-9a-fA-F_-]{7,63})(?:\.slice)?$`)
)

// parsePlacement reads the path of a control group, of systemd and container
// runtimes, nested ones included:
//
//	/system.slice/james.service                                                  unit james.service
//	/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.service        unit app-x.service
//	/system.slice/docker-<id>.scope                                              container
//	/docker/<id>                                                                 container
//	/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
//	/kubepods/besteffort/pod<uid>/<id>                                           pod and container
//	/machine.slice/libpod-<id>.scope, /lxc.payload.NAME, /machine.slice/machine-NAME.scope
func parsePlacement(path string) placement {
	var p placement
	for _, part := range strings.Split(path, "/") {
		part = strings.TrimPrefix(part, "_") // systemd's escape, cg_escape()
		switch {
		case part == "" || part == "." || part == "..":
		case podPart.MatchString(part):
			uid := podPart.FindStringSubmatch(part)[1]
			p.PodUID = strings.ToLower(strings.ReplaceAll(uid, "_", "-"))
			p.Unit, p.Units = "", nil // kubelet's own service, if it runs in one
		case containerScope.MatchString(part):
			p.enter(containerScope.FindStringSubmatch(part)[1])
		case containerID.MatchString(part):
			p.enter(containerID.FindStringSubmatch(part)[1])
		case strings.HasPrefix(part, "lxc.payload."):
			p.enter(strings.TrimPrefix(part, "lxc.payload."))
		case strings.HasPrefix(part, "machine-") && strings.HasSuffix(part, ".scope"):
			p.enter(strings.TrimSuffix(strings.TrimPrefix(part, "machine-"), ".scope"))
		case strings.HasPrefix(part, "systemd-nspawn@") && strings.HasSuffix(part, ".service"):
			p.enter(strings.TrimSuffix(strings.TrimPrefix(part, "systemd-nspawn@"), ".service"))
		case strings.HasSuffix(part, ".service"), strings.HasSuffix(part, ".scope"):
			p.Unit = part
			p.Units = append(p.Units, part)
		}
	}
	return p
}

// enter notes a container: units outside it are not the process's any more.
func (p *placement) enter(id string) {
	p.Container = id
	p.Unit, p.Units = "", nil
}

// placementOf joins the paths of one process in all its hierarchies: the
// unified one first, then systemd's own, then memory.
func placementOf(paths []string) placement {
	var all placement
	for _, path := range paths {
		p := parsePlacement(path)
		if all.Unit == "" {
			all.Unit, all.Units = p.Unit, p.Units
		}
		if all.PodUID == "" {
			all.PodUID = p.PodUID
		}
		if all.Container == "" {
			all.Container = p.Container
		}
	}
	if all.Container != "" || all.PodUID != "" {
		// systemd inside a container shows only there; outside units of one
		// hierarchy must not name what another says is a container.
		for _, path := range paths {
			if p := parsePlacement(path); p.Container != "" || p.PodUID != "" {
				all.Unit, all.Units = p.Unit, p.Units
				break
			}
		}
	}
	return all
}
