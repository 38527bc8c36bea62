package symbolize

import (
	"os"
	"path"
	"strings"
)

// candidate is one process during a scan. What costs a system call is read
// when it is first asked for.
type candidate struct {
	pid      int
	st       stat
	ancestor bool

	readProgram   bool
	exe, main     string
	readPlace     bool
	at            placement
	paths         []string
	readPodName   bool
	pod, podSpace string
}

// program reads the program's path and, of the java launcher, the main class or jar.
func (c *candidate) program() {
	if c.readProgram {
		return
	}
	c.readProgram = true
	if link, err := os.Readlink(procPath(c.pid, "exe")); err == nil {
		c.exe = strings.TrimSuffix(link, " (deleted)")
	}
	if c.exe != "" && !isLauncher(c.exe, nil) {
		return
	}
	b, err := readBounded(procPath(c.pid, "cmdline"), maxCmdline)
	if err != nil {
		return
	}
	if cmdline := splitNUL(b); isLauncher(c.exe, cmdline) {
		c.main = MainClass(cmdline)
	}
}

// place reads the control groups.
func (c *candidate) place() {
	if c.readPlace {
		return
	}
	c.readPlace = true
	groups, err := readProcCgroup(c.pid)
	if err != nil {
		return
	}
	for _, g := range groups {
		c.paths = append(c.paths, g.Path)
	}
	c.at = placementOf(cgroupPaths(groups))
}

// podName reads the name of the pod, if it is in one.
func (c *candidate) podName() {
	c.place()
	if c.readPodName || c.at.PodUID == "" {
		return
	}
	c.readPodName = true
	c.pod, c.podSpace = readPod(c.pid)
}

// rank says how well a name fits, and what it fits.
func (c *candidate) rank(name string) (Rank, string) {
	if name == "" || c.ancestor {
		return 0, ""
	}
	c.program()
	c.podName()
	is := func(values ...string) bool {
		for _, v := range values {
			if v == name {
				return true
			}
		}
		return false
	}
	base := path.Base(c.exe)
	comm := validText(c.st.Comm)
	switch {
	case c.main != "" && is(c.main, shortName(c.main), trimJar(c.main)):
		return ExactMain, c.main
	case c.at.Unit != "" && is(c.at.Unit, trimUnit(c.at.Unit)):
		return ExactUnit, c.at.Unit
	case c.pod != "" && is(c.pod, c.podSpace+"/"+c.pod):
		return ExactPod, c.pod
	case c.exe != "" && is(base, c.exe):
		return ExactExe, c.exe
	case is(comm) || cutComm(name) == c.st.Comm && len(name) > 15:
		return ExactComm, comm
	}
	like := func(v string) bool {
		return strings.Contains(strings.ToLower(v), strings.ToLower(name))
	}
	switch {
	case like(c.main):
		return LikeMain, c.main
	case like(c.at.Unit):
		return LikeUnit, c.at.Unit
	case like(c.pod):
		return LikePod, c.pod
	case c.exe != "" && like(base):
		return LikeExe, c.exe
	case like(comm):
		return LikeComm, comm
	}
	return 0, ""
}

func (c *candidate) inCGroup(group string) bool {
	c.place()
	group = path.Clean("/" + group)
	for _, p := range c.paths {
		if below(p, group) {
			return true
		}
	}
	rest, ok := strings.CutPrefix(group, "/sys/fs/cgroup/")
	if !ok {
		return false
	}
	rest = "/" + rest
	_, inner, _ := strings.Cut(rest[1:], "/") // v1 and hybrid: the hierarchy's folder
	for _, p := range c.paths {
		if below(p, rest) || inner != "" && below(p, "/"+inner) {
			return true
		}
	}
	return false
}

// below reports whether a group is another one or inside it.
func below(group, parent string) bool {
	return group == parent || strings.HasPrefix(group, strings.TrimSuffix(parent, "/")+"/")
}

func (c *candidate) inUnit(unit string) bool {
	c.place()
	for _, u := range c.at.Units {
		if u == unit || u == unit+".service" {
			return true
		}
	}
	return false
}

func (c *candidate) inPod(pod string) bool {
	c.podName()
	if c.at.PodUID == "" {
		return false
	}
	return pod == c.pod || pod == c.podSpace+"/"+c.pod || strings.EqualFold(pod, c.at.PodUID)
}

func (c *candidate) inContainer(id string) bool {
	c.place()
	return c.at.Container != "" && strings.HasPrefix(c.at.Container, id)
}

func trimJar(main string) string {
	return strings.TrimSuffix(strings.TrimSuffix(main, ".jar"), ".war")
}

func trimUnit(unit string) string {
	return strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".scope")
}

// cutComm is a name as the kernel keeps it: the first 15 bytes.
func cutComm(name string) string {
	return name[:min(len(name), 15)]
}
