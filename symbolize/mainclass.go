package symbolize

import (
	"path"
	"strings"
)

// MainClass is the main class (fully qualified) or the base name of the jar or
// source file that a command line of the java launcher starts; "" if the
// command line does not say (a main class inside an @argfile, java -version).
// cmdline[0] is the launcher itself and is not looked at.
//
// Service wrappers that name the real main class in their first argument
// (org.tanukisoftware.wrapper.*App) are looked through.
func MainClass(cmdline []string) string {
	argfiles := true
	for i := 1; i < len(cmdline); i++ {
		arg := cmdline[i]
		switch {
		case arg == "-jar":
			if i+1 < len(cmdline) {
				return path.Base(cmdline[i+1])
			}
			return ""
		case arg == "-m" || arg == "--module":
			if i+1 < len(cmdline) {
				return moduleMain(cmdline[i+1])
			}
			return ""
		case strings.HasPrefix(arg, "--module="):
			return moduleMain(strings.TrimPrefix(arg, "--module="))
		case arg == "--disable-@files":
			argfiles = false
		case takesValue(arg):
			i++
		case strings.HasPrefix(arg, "-"):
		case argfiles && strings.HasPrefix(arg, "@") && !strings.HasPrefix(arg, "@@"):
		case arg == "":
			return ""
		default:
			return mainClass(arg, cmdline[i+1:])
		}
	}
	return ""
}

// takesValue lists the launcher's options whose value is the next argument
// (IsWhiteSpaceOption in src/java.base/share/native/libjli/java.c; JDK 8 knows
// only -cp and -classpath).
func takesValue(option string) bool {
	switch option {
	case "-cp", "-classpath", "--class-path",
		"-p", "--module-path", "--upgrade-module-path",
		"--add-modules", "--limit-modules", "--enable-native-access",
		"--add-exports", "--add-opens", "--add-reads", "--patch-module",
		"-d", "--describe-module", "--source":
		return true
	}
	return false
}

// moduleMain is the class of MODULE/CLASS, or the module.
func moduleMain(m string) string {
	if _, class, ok := strings.Cut(m, "/"); ok && class != "" {
		return class
	}
	return strings.TrimSuffix(m, "/")
}

// mainClass is what the launcher makes of its first plain argument.
func mainClass(arg string, rest []string) string {
	switch arg {
	case "org.tanukisoftware.wrapper.WrapperSimpleApp", "org.tanukisoftware.wrapper.WrapperStartStopApp":
		if len(rest) > 0 && rest[0] != "" {
			return rest[0]
		}
	case "org.tanukisoftware.wrapper.WrapperJarApp":
		if len(rest) > 0 && rest[0] != "" {
			return path.Base(rest[0])
		}
	}
	if strings.HasSuffix(arg, ".java") {
		return path.Base(arg) // a source file, JDK 11 and later
	}
	return strings.ReplaceAll(arg, "/", ".") // java org/acme/Main is allowed
}

// shortName is what a main class is shown as: the class without its package,
// as jps does. Names of jar and source files stay.
func shortName(main string) string {
	if strings.HasSuffix(main, ".jar") || strings.HasSuffix(main, ".war") || strings.HasSuffix(main, ".java") {
		return main
	}
	return main[strings.LastIndexByte(main, '.')+1:]
}
