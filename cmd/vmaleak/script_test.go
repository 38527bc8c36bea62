package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"rsc.io/script"
	"rsc.io/script/scripttest"
)

// TestScripts runs testdata/script: commands that a user could type. What they
// have beside rsc.io/script's own is in cmds below.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range scripts {
		base := strings.TrimSuffix(filepath.Base(name), ".txt")
		if !strings.HasPrefix(base, "jvm") {
			t.Run(base, func(t *testing.T) {
				t.Parallel()
				runScript(t, name, "")
			})
			continue
		}
		for _, major := range []string{"17", "25"} { // each has an attach protocol of its own
			t.Run(base+"-"+major, func(t *testing.T) {
				t.Parallel()
				runScript(t, name, mustJDK(t, major))
			})
		}
	}
}

func runScript(t *testing.T, name, jdk string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := mustShared(t)
	work := t.TempDir()
	story, err := filepath.Abs("../../strace/testdata/story")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "WORK=" + work, "TMPDIR=" + work, "STORY=" + story,
		"VMALEAK=" + filepath.Join(dir, "vmaleak"), mainEnv + "=1", "TZ=UTC", "PID=" + strconv.Itoa(os.Getpid())}
	if jdk != "" {
		env = append(env, "JAVA="+filepath.Join(jdk, "bin/java"), "CLASSES="+mustClasses(t))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	state, err := script.NewState(ctx, work, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := state.ExtractFiles(archive); err != nil {
		t.Fatal(err)
	}
	b := &background{tb: t, running: map[string]*process{}}
	t.Cleanup(b.kill)
	engine := &script.Engine{Cmds: scripttest.DefaultCmds(), Conds: scripttest.DefaultConds()}
	delete(engine.Cmds, "skip")
	delete(engine.Cmds, "sleep") // poll
	for name, c := range cmds(t, b) {
		engine.Cmds[name] = c
	}
	scripttest.Run(t, engine, state, filepath.Base(name), bytes.NewReader(archive.Comment))
}

// cmds are the commands that scripts have beside rsc.io/script's own.
func cmds(tb testing.TB, b *background) map[string]script.Cmd {
	simple := func(summary, args string, f func(*script.State, []string) error) script.Cmd {
		return script.Command(script.CmdUsage{Summary: summary, Args: args}, func(s *script.State, args ...string) (script.WaitFunc, error) {
			return nil, f(s, args)
		})
	}
	return map[string]script.Cmd{
		"need":    simple("leave the script out, or fail, without this", "root|PROGRAM...", func(_ *script.State, args []string) error { return need(tb, args) }),
		"vmaleak": script.Program(filepath.Join(mustShared(tb), "vmaleak"), nil, 5*time.Second),
		"rc":      script.Command(script.CmdUsage{Summary: "run a command that must end with this code", Args: "code command [arg...]"}, runCode),
		"start":   simple("start a process in the background; its PID becomes $NAME", "NAME command [arg...]", b.start),
		"signal":  simple("send a signal to a background process", "SIGNAL NAME", b.signal),
		"input":   simple("write a line to the stdin of a background process", "NAME [text...]", b.input),
		"end":     simple("wait for the end of a background process, with this code", "NAME code", b.end),
		"await":   simple("wait until a file exists, and holds this text", "FILE [text]", await),
		"child":   simple("wait for a child of a background process; its PID becomes $VAR", "NAME VAR [comm]", child),
		"valid":   simple("check exports against the schema and the sum rules", "FILE...", valid),
		"field":   simple("check a value of an export", "FILE path value", field),
		"absent":  simple("check that nothing matches", "PATTERN...", absent),
	}
}

func need(tb testing.TB, args []string) error {
	for _, what := range args {
		switch {
		case what == "root":
			if os.Geteuid() != 0 {
				cannot(tb, "needs root to load BPF programs")
			}
		default:
			if _, err := exec.LookPath(what); err != nil {
				cannot(tb, "needs the program %s", what)
			}
		}
	}
	return nil
}

func runCode(s *script.State, args ...string) (script.WaitFunc, error) {
	if len(args) < 2 {
		return nil, script.ErrUsage
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, script.ErrUsage
	}
	if args[1] == "vmaleak" {
		args[1], _ = s.LookupEnv("VMALEAK")
	}
	cmd := exec.CommandContext(s.Context(), args[1], args[2:]...)
	cmd.Dir, cmd.Env = s.Getwd(), s.Environ()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func(*script.State) (string, string, error) {
		err := cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != want {
			return stdout.String(), stderr.String(), fmt.Errorf("ended with %d (%w), want %d", code, err, want)
		}
		return stdout.String(), stderr.String(), nil
	}, nil
}
