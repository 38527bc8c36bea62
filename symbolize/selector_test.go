package symbolize

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mustSleeper starts a program of this name that waits for its stdin.
func mustSleeper(tb testing.TB, name string) *target {
	tb.Helper()
	return mustStart(tb, exec.Command(mustCopy(tb, "/bin/cat", name)))
}

func mustFind(tb testing.TB, s Selector) []int {
	tb.Helper()
	found, err := s.Find()
	if err != nil {
		tb.Fatal(err)
	}
	var pids []int
	for _, m := range found {
		pids = append(pids, m.PID)
		if st, err := readStat(m.PID); err != nil || st.StartTicks != m.StartTicks || m.Why == "" {
			tb.Errorf("%+v: stat %+v %v", m, st, err)
		}
	}
	return pids
}

func TestSelectorByName(t *testing.T) {
	tag := "vml" + strconv.Itoa(os.Getpid())
	a := mustSleeper(t, tag)
	b := mustSleeper(t, tag)
	c := mustSleeper(t, tag+"-more")
	both := []int{a.pid(), b.pid()}
	slices.Sort(both)

	if got := mustFind(t, Selector{Names: []string{tag}}); !slices.Equal(got, both) {
		t.Errorf("the exact name finds %v, want %v only", got, both)
	}
	if got := mustFind(t, Selector{Names: []string{strings.ToUpper(tag) + "-m"}}); !slices.Equal(got, []int{c.pid()}) {
		t.Errorf("a part of a name in another case finds %v, want %d", got, c.pid())
	}
	if got := mustFind(t, Selector{Names: []string{a.cmd.Path}}); !slices.Equal(got, []int{a.pid()}) {
		t.Errorf("the path finds %v, want %d", got, a.pid())
	}
	if got := mustFind(t, Selector{Names: []string{tag, tag + "-more"}, PIDs: []int{a.pid()}}); len(got) != 3 {
		t.Errorf("two names and a PID find %v, want all three", got)
	}
	if got := mustFind(t, Selector{Comm: tag + "-more"}); !slices.Equal(got, []int{c.pid()}) {
		t.Errorf("the comm finds %v, want %d", got, c.pid())
	}
	if got := mustFind(t, Selector{PIDs: []int{c.pid(), 1 << 30}}); !slices.Equal(got, []int{c.pid()}) {
		t.Errorf("PIDs find %v, want %d", got, c.pid())
	}
	for _, none := range []Selector{{}, {Names: []string{""}}, {Names: []string{tag + "-none"}}, {PIDs: []int{2}}, {PIDs: []int{os.Getpid()}}} {
		if got := mustFind(t, none); len(got) != 0 {
			t.Errorf("%+v finds %v", none, got)
		}
	}
}

func TestSelectorLeavesUsAndOurAncestorsOut(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := os.Getppid()
	parentStat, err := readStat(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Selector{{Names: []string{filepath.Base(self)}}, {Comm: parentStat.Comm}, {CGroup: "/"}} {
		got := mustFind(t, s)
		if slices.Contains(got, os.Getpid()) || slices.Contains(got, parent) || slices.Contains(got, 1) {
			t.Errorf("%+v finds %v: we are %d, our parent is %d", s, got, os.Getpid(), parent)
		}
	}
	if got := mustFind(t, Selector{PIDs: []int{parent}}); !slices.Equal(got, []int{parent}) {
		t.Errorf("the parent by its PID: %v", got)
	}
}

func TestSelectorFollowsRestartsOnly(t *testing.T) {
	tag := "vmr" + strconv.Itoa(os.Getpid())
	a := mustSleeper(t, tag)
	s := Selector{Names: []string{tag}, PIDs: []int{a.pid()}}
	found, err := Selector{Names: []string{tag}}.Find()
	if err != nil || len(found) != 1 || found[0].Rank != ExactExe || found[0].Name != tag {
		t.Fatalf("%+v %v", found, err)
	}
	s = s.Pin(found)
	if !s.Follows() || len(s.PIDs) != 0 {
		t.Errorf("pinned: %+v", s)
	}
	a.kill()
	lookalike := mustSleeper(t, "x"+tag)
	if got := mustFind(t, s); len(got) != 0 {
		t.Errorf("after the end it finds %v (%d merely looks like it)", got, lookalike.pid())
	}
	again := mustSleeper(t, tag)
	if got := mustFind(t, s); !slices.Equal(got, []int{again.pid()}) {
		t.Errorf("after the restart it finds %v, want %d", got, again.pid())
	}
	if (Selector{PIDs: []int{1}}).Follows() {
		t.Error("PIDs are followed")
	}
}

func TestSelectorOfJVMs(t *testing.T) {
	jdks := jdks(t)
	classes := mustCompile(t, jdks)
	for name, java := range jdks {
		p, _ := mustJVM(t, 1, java, "-Xmx64m", "-XX:TieredStopAtLevel=1", "-Dtag="+name, "-cp", classes, "Named")
		for what, s := range map[string]Selector{"every JVM": {JVM: true}, "the main class": {Names: []string{"Named"}}, "a part of it": {Names: []string{"nameD"}}} {
			got := mustFind(t, s)
			if !slices.Contains(got, p.pid()) || slices.Contains(got, os.Getpid()) {
				t.Errorf("%s: %s finds %v, want %d among them", name, what, got, p.pid())
			}
		}
		proc, err := ReadProcess(p.pid())
		if err != nil || !proc.IsJVM || proc.Name != "Named" || proc.Comm != "java" || proc.Bits != 64 {
			t.Errorf("%s: %+v %v", name, proc, err)
		}
		p.finish()
	}
}

func TestRankOfANameInOrder(t *testing.T) {
	c := &candidate{
		pid: 1 << 30, readProgram: true, exe: "/usr/bin/java", main: "org.acme.MailServer",
		readPlace: true, at: placement{Unit: "james.service", PodUID: uid}, readPodName: true, pod: "mail-0", podSpace: "prod",
		st: stat{Comm: "mail-comm-is-ct"},
	}
	for _, x := range []struct {
		name string
		want Rank
	}{
		{"org.acme.MailServer", ExactMain}, {"MailServer", ExactMain}, {"mailserver", LikeMain},
		{"james", ExactUnit}, {"james.service", ExactUnit}, {"JAM", LikeUnit},
		{"mail-0", ExactPod}, {"prod/mail-0", ExactPod}, {"il-0", LikePod},
		{"java", ExactExe}, {"/usr/bin/java", ExactExe}, {"jav", LikeExe},
		{"mail-comm-is-ct", ExactComm}, {"mail-comm-is-cthere", ExactComm}, {"comm", LikeComm},
		{"mail", LikeMain}, {"nothing", 0}, {"", 0},
	} {
		if got, what := c.rank(x.name); got != x.want || (got != 0) != (what != "") {
			t.Errorf("rank of %q is %v (%s), want %v", x.name, got, what, x.want)
		}
	}
	for r := Rank(0); r <= LikeComm; r++ {
		if strings.HasPrefix(r.String(), "Rank(") {
			t.Errorf("rank %d has no words", int(r))
		}
	}
}

func TestSelectorByPlacement(t *testing.T) {
	c := &candidate{
		readPlace: true, paths: []string{"/", "/system.slice/james.service/sub"},
		at:          placement{Unit: "x.service", Units: []string{"user@1.service", "x.service"}, PodUID: uid, Container: id64},
		readPodName: true, pod: "mail-0", podSpace: "prod",
	}
	for what, ok := range map[string]bool{
		"the group":            c.inCGroup("/system.slice/james.service/sub"),
		"a group above":        c.inCGroup("system.slice"),
		"its folder":           c.inCGroup("/sys/fs/cgroup/system.slice/james.service"),
		"its folder in v1":     c.inCGroup("/sys/fs/cgroup/memory/system.slice/james.service/"),
		"the unit":             c.inUnit("x.service") && c.inUnit("x"),
		"the unit around":      c.inUnit("user@1"),
		"the pod":              c.inPod("mail-0") && c.inPod("prod/mail-0") && c.inPod(strings.ToUpper(uid)),
		"the container":        c.inContainer(id64),
		"part of its id":       c.inContainer(id64[:12]),
		"not another group":    !c.inCGroup("/system.slice/jam"),
		"not another unit":     !c.inUnit("y"),
		"not another pod":      !c.inPod("prod") && !c.inPod("test/mail-0"),
		"not another id":       !c.inContainer("ffff"),
		"not without any":      !(&candidate{readPlace: true}).inContainer(""),
		"not a pod of nothing": !(&candidate{readPlace: true}).inPod(""),
	} {
		if !ok {
			t.Error(what)
		}
	}
}
