package jvm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDialLeavesJVMsAloneThatSIGQUITWouldHarm(t *testing.T) {
	dir := t.TempDir()
	args, flags := filepath.Join(dir, "java.args"), filepath.Join(dir, "flags")
	if err := errors.Join(os.WriteFile(args, []byte("-Dx=y\n\"-XX:+DisableAttachMechanism\"\n"), 0o644),
		os.WriteFile(flags, []byte("+DisableAttachMechanism\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		flags []string
		env   []string
		want  error
		words string
	}{
		{"switched off", []string{"-XX:+DisableAttachMechanism"}, nil, ErrAttachDisabled, "command line"},
		{"switched off by JDK_JAVA_OPTIONS", nil, []string{"JDK_JAVA_OPTIONS=-Da=b -XX:+DisableAttachMechanism"}, ErrAttachDisabled, "JDK_JAVA_OPTIONS"},
		{"switched off by JAVA_TOOL_OPTIONS", nil, []string{"JAVA_TOOL_OPTIONS=-XX:+DisableAttachMechanism"}, ErrAttachDisabled, "JAVA_TOOL_OPTIONS"},
		{"switched off by _JAVA_OPTIONS", []string{"-XX:-DisableAttachMechanism"}, []string{"_JAVA_OPTIONS=-XX:+DisableAttachMechanism"}, ErrAttachDisabled, "_JAVA_OPTIONS"},
		{"switched off by an argument file", []string{"@" + args}, nil, ErrAttachDisabled, "java.args"},
		{"switched off by a file of flags", []string{"-XX:Flags=" + flags}, nil, ErrAttachDisabled, "flags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startJVM(t, mustJava(t, "java-17-openjdk-amd64"), targetOptions{flags: tt.flags, env: tt.env})
			refused(t, p.pid, Options{Start: true}, tt.want, tt.words)
			p.unharmed(t)
		})
	}
	t.Run("switched off and on again", func(t *testing.T) {
		p := startJVM(t, mustJava(t, "temurin-25-jdk-amd64"),
			targetOptions{flags: []string{"-XX:-DisableAttachMechanism"}, env: []string{"JAVA_TOOL_OPTIONS=-XX:+DisableAttachMechanism"}})
		mustDial(t, p.pid, Options{Start: true})
		p.unharmed(t)
	})
	t.Run("Xrs", func(t *testing.T) {
		eachJDK(t, func(t *testing.T, java string) {
			// Such a JVM starts its listener by itself, but dies of SIGQUIT.
			p := startJVM(t, java, targetOptions{flags: []string{"-Xrs"}})
			mustDial(t, p.pid, Options{Start: true})
			if err := os.Remove(fmt.Sprintf("/tmp/.java_pid%d", p.pid)); err != nil {
				t.Fatal(err)
			}
			refused(t, p.pid, Options{Start: true}, ErrNoHandler, "-Xrs")
			p.unharmed(t)
		})
	})
}

func TestDialLeavesStoppedJVMsAlone(t *testing.T) {
	eachJDK(t, func(t *testing.T, java string) {
		p := startJVM(t, java, targetOptions{})
		stop := func(sig syscall.Signal, state string) {
			t.Helper()
			if err := unix.Kill(p.pid, sig); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "state "+state, func() bool {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
				return err == nil && strings.Contains(string(text), "State:\t"+state)
			})
		}
		stop(unix.SIGSTOP, "T")
		refused(t, p.pid, Options{Start: true}, ErrStopped, "kill -CONT")
		stop(unix.SIGCONT, "S")
		c := mustDial(t, p.pid, Options{Start: true, Timeout: 300 * time.Millisecond})
		stop(unix.SIGSTOP, "T")
		refused(t, p.pid, Options{Start: true}, ErrStopped)
		if _, err := c.ThreadDump(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("ThreadDump: %v", err)
		}
		stop(unix.SIGCONT, "S")
		if _, err := c.ThreadDump(t.Context()); err != nil {
			t.Errorf("after SIGCONT: %v", err)
		}
		p.unharmed(t)
	})
}

func TestDialRefusesWhatIsNoLivingJVM(t *testing.T) {
	self := os.Getpid()
	refused(t, self, Options{Start: true}, ErrNotJVM, "libjvm.so")
	if IsJVM(self) {
		t.Error("IsJVM of this process")
	}
	p := startHelper(t, "silent", targetOptions{})
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	if err != nil || len(tasks) < 2 {
		t.Fatal(tasks, err)
	}
	tid, err := strconv.Atoi(tasks[len(tasks)-1].Name())
	if err != nil {
		t.Fatal(err)
	}
	refused(t, tid, Options{Start: true}, ErrNotJVM, fmt.Sprintf("thread of process %d", p.pid))
	p.unharmed(t)
	c, err := openProcess(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the zombie", func() bool {
		s, err := c.status()
		return err == nil && s.state == 'Z'
	})
	refused(t, p.pid, Options{Start: true}, ErrZombie, "parent")
	p.cmd.Wait()
	refused(t, p.pid, Options{Start: true}, ErrGone)
	if _, err := c.status(); !errors.Is(err, ErrGone) {
		t.Errorf("status of a process that is gone: %v", err)
	}
}
