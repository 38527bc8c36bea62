package jvm

import (
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	disableFlag = "-XX:+DisableAttachMechanism"
	enableFlag  = "-XX:-DisableAttachMechanism"
	maxArgs     = 4 << 20 // bytes read of a command line or an environment
	maxArgFile  = 1 << 20 // bytes read of a file of options
)

// attachDisabled says by which option the JVM was told not to accept attaches, "" if by none that can be seen. Such a JVM
// answers SIGQUIT with a thread dump on the application's output.
func (p *process) attachDisabled() (where string) {
	options := func(from, text string) {
		for _, option := range strings.Fields(text) {
			where = p.judge(where, from, strings.Trim(option, `"'`))
		}
	}
	env := map[string]string{}
	if text, err := p.read("environ", maxArgs); err == nil {
		for line := range strings.SplitSeq(string(text), "\x00") {
			key, value, _ := strings.Cut(line, "=")
			env[key] = value
		}
	}
	// In the order in which the JVM obeys them, the last one wins: Arguments::parse in arguments.cpp, and before it
	// the launcher, which puts JDK_JAVA_OPTIONS before its own arguments.
	options("JAVA_TOOL_OPTIONS", env["JAVA_TOOL_OPTIONS"])
	options("JDK_JAVA_OPTIONS", env["JDK_JAVA_OPTIONS"])
	if text, err := p.read("cmdline", maxArgs); err == nil {
		for _, option := range jvmArgs(strings.Split(string(text), "\x00")) {
			where = p.judge(where, "its command line", option)
		}
	}
	options("_JAVA_OPTIONS", env["_JAVA_OPTIONS"])
	return where
}

// judge returns where attaching was switched off, after one more option.
func (p *process) judge(where, from, option string) string {
	switch option {
	case disableFlag:
		return from
	case enableFlag:
		return ""
	}
	for _, prefix := range []string{"@", "-XX:Flags=", "-XX:VMOptionsFile="} {
		name, ok := strings.CutPrefix(option, prefix)
		if !ok || name == "" {
			continue
		}
		for _, word := range strings.Fields(p.argFile(name)) {
			// A file of flags has them bare.
			switch strings.TrimPrefix(strings.Trim(word, `"'`), "-XX:") {
			case "+DisableAttachMechanism":
				where = name
			case "-DisableAttachMechanism":
				where = ""
			}
		}
	}
	return where
}

// jvmArgs returns the arguments that are the JVM's, not the application's. Of a program that is not the java launcher
// all are, since nobody knows which it hands on.
func jvmArgs(args []string) []string {
	if len(args) == 0 || path.Base(args[0]) != "java" {
		return args
	}
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch arg {
		case "-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--limit-modules",
			"--add-exports", "--add-opens", "--add-reads", "--patch-module", "--enable-native-access", "--source", "-d", "--describe-module":
			i++ // its value
			continue
		case "-jar", "-m", "--module":
			return args[1:i]
		}
		if !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "@") {
			return args[1:i] // the main class
		}
	}
	return args[1:]
}

// argFile returns the text of a file that an option names, "" if it cannot be read. The file is looked up as the JVM did
// it, and never outside of the JVM's root.
func (p *process) argFile(name string) string {
	base, how := "cwd", uint64(unix.RESOLVE_BENEATH)
	if path.IsAbs(name) {
		base, how = "root", unix.RESOLVE_IN_ROOT
	}
	dir, err := p.open(base, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return ""
	}
	defer dir.Close()
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: how | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return ""
	}
	f, _, err := openRegular(fd, name)
	if err != nil || f == nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxArgFile))
	if err != nil {
		return ""
	}
	return string(text)
}
