package symbolize

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unaskable are JVMs that cannot be asked for their threads, or had better not be.
var unaskable = []struct {
	name    string
	args    []string
	wrap    func(dir string) []string // a command that the JVM is run by
	stopped bool
	listens bool // by itself
}{
	{name: "as it is"},
	{name: "without signals", args: []string{"-Xrs"}, listens: true},
	{name: "without signals and attach", args: []string{"-Xrs", "-XX:+DisableAttachMechanism"}},
	{name: "attach disabled", args: []string{"-XX:+DisableAttachMechanism"}},
	{name: "stopped", stopped: true},
	{name: "read-only root", wrap: func(string) []string {
		const readOnly = `mount --rbind / /mnt && mount -o remount,bind,ro /mnt && mount --bind /mnt/tmp /mnt/tmp && mount -o remount,bind,ro /mnt/tmp && exec chroot /mnt "$@"`
		return []string{"unshare", "--mount", "sh", "-c", readOnly, "sh"}
	}},
	{name: "namespaces of its own", wrap: func(string) []string {
		return []string{"unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"}
	}},
	{name: "another user", wrap: func(string) []string { return []string{"setpriv", "--reuid=65534", "--clear-groups"} }},
}

// TestNamesWithoutAsking is the promise: names come, and nothing was sent to the JVM.
func TestNamesWithoutAsking(t *testing.T) {
	jdks := jdks(t)
	classes := mustCompile(t, jdks)
	if err := os.Chmod(filepath.Dir(classes), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(classes, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, java := range jdks {
		for _, c := range unaskable {
			t.Run(name+" "+c.name, func(t *testing.T) {
				argv := append(append([]string{java}, c.args...), "-XX:-UsePerfData", "-Xmx64m", "-cp", classes, "Named")
				if c.wrap != nil {
					needRoot(t, "run a JVM in other namespaces or by another user")
					argv = append(c.wrap(t.TempDir()), argv...)
					if _, err := exec.LookPath(argv[0]); err != nil {
						skip(t, "needs "+argv[0])
					}
				}
				p, threads := mustJVM(t, 50, argv...)
				pid := p.pid()
				if c.name == "namespaces of its own" {
					pid = mustChild(t, pid)
				}
				if c.stopped {
					mustStop(t, pid)
				}
				n := NewNamer(pid, NamerOptions{Named: true})
				defer n.Close()
				now := time.Unix(1000, 0)
				if err := n.Refresh(now); err != nil {
					t.Fatal(err)
				}
				if !n.Due(now) {
					t.Fatal("not due")
				}
				n.Adopt(n.Fetch(t.Context()), now)
				if err := n.Err(); err != nil {
					t.Fatal(err)
				}
				wantNames(t, n, threads, true)
				if n.Effects() != (Effects{Readings: 1}) {
					t.Errorf("effects %+v", n.Effects())
				}
				if !c.listens {
					wantUntouched(t, n, pid)
				}
				if c.stopped {
					if err := unix.Kill(pid, unix.SIGCONT); err != nil {
						t.Fatal(err)
					}
				}
				p.finish() // it lives: SIGQUIT would have ended one that runs without signals
			})
		}
	}
}

// mustStop stops a process and waits until it stands.
func mustStop(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the JVM stands", func() bool {
		st, err := readStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		return st.State == 'T'
	})
}

// wantUntouched checks that a JVM has not been attached to: no socket, no file that asks for one, no listener.
func wantUntouched(t *testing.T, n *Namer, pid int) {
	t.Helper()
	if err := n.Refresh(time.Unix(1001, 0)); err != nil {
		t.Fatal(err)
	}
	for th := range n.Threads() {
		if th.Comm == "Attach Listener" {
			t.Error("the JVM's attach listener runs")
		}
		for _, file := range []string{"root/tmp/.java_pid%d", "root/tmp/.attach_pid%d", "cwd/.attach_pid%d"} {
			path := fmt.Sprintf("/proc/%d/"+file, pid, th.NSTID)
			if _, err := os.Lstat(path); err == nil && th.TID == pid {
				t.Errorf("%s was made", path)
			}
		}
	}
}

// TestNamesEqualTheDumps compares the two ways for every thread that both know.
func TestNamesEqualTheDumps(t *testing.T) {
	jdks := jdks(t)
	classes := mustCompile(t, jdks)
	for name, java := range jdks {
		t.Run(name, func(t *testing.T) {
			p, threads := mustJVM(t, 500, java, "-Xmx96m", "-cp", classes, "Named")
			now := time.Unix(1000, 0)
			var names [2]map[int]string
			for i, way := range []string{"memory", "dump"} {
				n := NewNamer(p.pid(), NamerOptions{Named: true})
				defer n.Close()
				if way == "dump" {
					n.read = mute
				}
				if err := n.Refresh(now); err != nil {
					t.Fatal(err)
				}
				if !n.Due(now) {
					t.Fatal("not due")
				}
				n.Adopt(n.Fetch(t.Context()), now)
				if err := n.Err(); err != nil {
					t.Fatal(err)
				}
				wantNames(t, n, threads, true)
				names[i] = map[int]string{}
				for th := range n.Threads() {
					if th.Name != nil {
						names[i][th.TID] = *th.Name
					}
				}
			}
			for tid, name := range names[0] {
				if dumped, ok := names[1][tid]; !ok || dumped != name {
					t.Errorf("thread %d is called %q in memory, %q (%v) in the dump", tid, name, dumped, ok)
				}
			}
			if len(names[0]) < 505 {
				t.Errorf("only %d names were read", len(names[0]))
			}
		})
	}
}
