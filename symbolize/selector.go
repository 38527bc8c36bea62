package symbolize

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"vmaleak/symbolize/jvm"
)

// Selector finds processes. Its criteria are alternatives: a process that
// meets any of them matches. It is used at the start and again at each scan,
// so that a restarted target is found again; then call Pin first.
//
// Kernel threads, zombies, ourselves and (unless given by PID) our ancestors,
// such as sudo and the shell, never match.
type Selector struct {
	PIDs []int
	// Names are matched as Rank says: by the best rank that any process of
	// the host has for the name, and every process of that rank matches.
	Names []string
	JVM   bool // every JVM

	Comm      string // the first 15 bytes of the process's comm
	CGroup    string // a control group and those below it; a path below /sys/fs/cgroup is understood
	Unit      string // a systemd unit on the control group's path; ".service" may be left out
	Pod       string // [NAMESPACE/]NAME, or the pod's UID
	Container string // id, or the beginning of it, or an LXC or nspawn machine

	pins map[string]Rank // by name: the worst rank that still matches
}

// Rank says how well a name fits a process: the lower the better, 0 not at all.
type Rank int

// The ranks of a name, best first. "Exact" is equality with the whole or its
// last part: the class without its package, the jar or unit without its
// suffix, the base name of the program. "Like" is a part of it in any case.
const (
	ExactMain Rank = iota + 1 // main class or jar of a JVM
	ExactUnit
	ExactPod
	ExactExe
	ExactComm
	LikeMain
	LikeUnit
	LikePod
	LikeExe
	LikeComm
)

func (r Rank) String() string {
	names := [...]string{
		"no match", "main class or jar", "unit", "pod", "program", "comm",
		"part of the main class or jar", "part of the unit", "part of the pod", "part of the program's name", "part of the comm",
	}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("Rank(%d)", int(r))
	}
	return names[r]
}

// Match is a process that a Selector has found.
type Match struct {
	PID        int
	StartTicks uint64
	Why        string // for people: "name james: part of the main class or jar JamesAppSpringMain"
	Name       string // of Selector.Names, if that is why
	Rank       Rank   // of that name
}

// Find looks through /proc once. Matches are in order of PID. A process that
// ends meanwhile is left out; the error is about /proc itself.
func (s Selector) Find() ([]Match, error) {
	candidates, err := s.scan()
	if err != nil {
		return nil, err
	}
	best := map[string]Rank{}
	for name, pin := range s.pins {
		best[name] = pin
	}
	for _, c := range candidates {
		for _, name := range s.Names {
			if _, pinned := s.pins[name]; pinned {
				continue
			}
			if r, _ := c.rank(name); r != 0 && (best[name] == 0 || r < best[name]) {
				best[name] = r
			}
		}
	}
	var found []Match
	for _, c := range candidates {
		if m, ok := s.match(c, best); ok {
			found = append(found, m)
		}
	}
	return found, nil
}

// Pin is the Selector for later scans, after the first has found these:
// names match only by the rank they had then or a better one (a restarted
// service is found again, an unrelated process whose name merely resembles it
// is not), and PIDs no longer match, since another process may get them.
func (s Selector) Pin(found []Match) Selector {
	pins := map[string]Rank{}
	for name, r := range s.pins {
		pins[name] = r
	}
	for _, m := range found {
		if m.Name != "" {
			pins[m.Name] = m.Rank
		}
	}
	s.pins, s.PIDs = pins, nil
	return s
}

// Follows reports whether a later scan can find anything: a Selector of PIDs
// alone cannot follow a restart.
func (s Selector) Follows() bool {
	return s.JVM || len(s.Names) > 0 || s.Comm != "" || s.CGroup != "" || s.Unit != "" || s.Pod != "" || s.Container != ""
}

// match decides about one process.
func (s Selector) match(c *candidate, best map[string]Rank) (Match, bool) {
	m := Match{PID: c.pid, StartTicks: c.st.StartTicks}
	if slices.Contains(s.PIDs, c.pid) {
		m.Why = "PID " + strconv.Itoa(c.pid)
		return m, true
	}
	if c.ancestor {
		return m, false
	}
	for _, name := range s.Names {
		r, what := c.rank(name)
		_, pinned := s.pins[name]
		if r != 0 && (r == best[name] || pinned && r < best[name]) {
			m.Name, m.Rank = name, r
			m.Why = fmt.Sprintf("name %s: %v %s", name, r, what)
			return m, true
		}
	}
	switch {
	case s.Comm != "" && cutComm(s.Comm) == c.st.Comm:
		m.Why = "comm " + s.Comm
	case s.CGroup != "" && c.inCGroup(s.CGroup):
		m.Why = "control group " + s.CGroup
	case s.Unit != "" && c.inUnit(s.Unit):
		m.Why = "unit " + s.Unit
	case s.Pod != "" && c.inPod(s.Pod):
		m.Why = "pod " + s.Pod
	case s.Container != "" && c.inContainer(s.Container):
		m.Why = "container " + s.Container
	case s.JVM && jvm.IsJVM(c.pid):
		m.Why = "JVM"
	default:
		return m, false
	}
	return m, true
}

// scan lists the processes that may match.
func (s Selector) scan() ([]*candidate, error) {
	pids, err := listPIDs()
	if err != nil {
		return nil, err
	}
	self := os.Getpid()
	ancestors := ancestorsOf(self)
	var out []*candidate
	for _, pid := range pids {
		if pid == self {
			continue
		}
		st, err := readStat(pid)
		if err != nil || st.Flags&pfKthread != 0 {
			continue
		}
		if (st.State == 'Z' || st.State == 'X') && !hasLiveThreads(pid) {
			continue
		}
		out = append(out, &candidate{pid: pid, st: st, ancestor: ancestors[pid]})
	}
	return out, nil
}

// listPIDs lists the processes of /proc in ascending order.
func listPIDs() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// ancestorsOf are the parents of a process up to the first one.
func ancestorsOf(pid int) map[int]bool {
	found := map[int]bool{}
	for range 1000 {
		st, err := readStat(pid)
		if err != nil || st.PPID == 0 || found[st.PPID] {
			break
		}
		pid = st.PPID
		found[pid] = true
	}
	return found
}
