package report

import (
	"path"
	"regexp"
	"strings"

	"vmaleak/leak"
)

// level is how much a frame tells a person who looks for the caller. There is
// no way to know what is an application: it is what is neither of the JDK nor of
// the libraries below, or in the package of the main class, or for a program that is not
// Java what lies in its executable.
type level uint8

const (
	machine  level = iota // the kernel, the C library, allocators, stubs, how a thread starts
	engine                // the virtual machine and its native libraries
	platform              // the JDK's classes
	library               // a library's classes, shared libraries
	application
)

// jdkClasses are the JDK's packages.
var jdkClasses = []string{"java.", "javax.", "jdk.", "sun.", "com.sun."}

// libraryClasses are the packages of widely used libraries. The list is short:
// what is missing counts as application, and is shown.
var libraryClasses = []string{
	"io.netty.", "io.grpc.", "io.vertx.", "io.undertow.", "io.micrometer.", "io.micronaut.", "io.quarkus.", "io.opentelemetry.",
	"io.reactivex.", "io.lettuce.", "reactor.", "rx.", "kotlin.", "kotlinx.", "scala.", "akka.", "groovy.", "clojure.",
	"org.apache.", "org.eclipse.", "org.springframework.", "org.jboss.", "org.xnio.", "org.glassfish.", "org.hibernate.",
	"org.postgresql.", "org.slf4j.", "org.lwjgl.", "org.rocksdb.", "org.xerial.", "ch.qos.logback.", "com.google.common.",
	"com.google.protobuf.", "com.fasterxml.", "com.zaxxer.", "com.mysql.", "com.mongodb.", "com.rabbitmq.", "com.github.luben.",
	"com.aayushatharva.", "net.jpountz.", "net.bytebuddy.", "okhttp3.", "okio.",
}

// startClasses run what a thread was made for: not where a library was entered.
var startClasses = []string{
	"java.lang.Thread.", "java.lang.VirtualThread", "java.lang.ThreadBuilders", "jdk.internal.vm.Continuation", "java.util.concurrent.ThreadPoolExecutor",
	"java.util.concurrent.ScheduledThreadPoolExecutor", "java.util.concurrent.ForkJoin", "java.util.concurrent.FutureTask.",
	"java.util.concurrent.Executors$", "java.util.concurrent.CompletableFuture$", "java.util.TimerThread.",
}

// machineModules and engineModules are how the names of shared objects begin.
var (
	machineModules = []string{"libc.", "libc-", "ld-", "ld.so", "libpthread", "libm.", "libm-", "libdl", "librt", "libgcc_s", "libstdc++", "libc++",
		"linux-vdso", "[", "libjemalloc", "libtcmalloc", "libmimalloc"}
	engineModules = []string{"libjvm.", "libjava.", "libjli.", "libnio.", "libnet.", "libextnet.", "libzip.", "libjimage.", "libverify.",
		"libinstrument.", "libmanagement", "libjdwp."}
	// machineFunctions are what every executable may hold of a language's own.
	machineFunctions = []string{"runtime.", "runtime/", "internal/runtime/", "syscall.", "std::", "__gnu_cxx::", "operator new", "_start", "__libc_",
		"malloc", "calloc", "realloc", "mmap", "mremap", "sbrk", "brk", "__mmap", "__brk", "__sbrk", "sysmalloc", "_int_malloc"}
)

// judge tells the levels of the frames of one process.
type judge struct {
	exe  string // base name
	main string // package of the main class, "" unknown
}

func judgeOf(e *leak.Entry) judge {
	var j judge
	if e.Exe != nil {
		j.exe = path.Base(*e.Exe)
	}
	for i, arg := range e.Cmdline {
		if m := className.FindStringSubmatch(arg); i > 0 && m != nil {
			j.main = m[1]
			break
		}
	}
	if strings.HasPrefix(j.main, "org.springframework.") {
		j.main = "" // a launcher
	}
	return j
}

// className is a class of a package, of which up to three names are kept.
var className = regexp.MustCompile(`^((?:[a-z_][a-z0-9_]*\.){1,3})(?:[a-z_][a-z0-9_]*\.)*[A-Z][\w$]*$`)

func (j judge) level(f *leak.Frame) level {
	name, module := value(f.Function), path.Base(value(f.Module))
	switch {
	case f.Kind == "stub" || f.Kind == "kernel":
		return machine
	case java(f) && name == "":
		return engine // a method that could not be named
	case java(f):
		return j.class(name)
	case f.Module == nil || begins(module, machineModules):
		return machine
	case begins(module, engineModules) || j.exe == "java" && module == j.exe:
		return engine
	case module == j.exe:
		if begins(name, machineFunctions) {
			return machine
		}
		return application
	}
	return library
}

// class is the level of a Java method.
func (j judge) class(name string) level {
	switch {
	case j.main != "" && strings.HasPrefix(name, j.main):
		return application
	case begins(name, startClasses):
		return machine
	case begins(name, jdkClasses):
		return platform
	case begins(name, libraryClasses):
		return library
	}
	return application
}

// java reports whether f is of a Java method. An inlined frame of native code has a module.
func java(f *leak.Frame) bool { return f.Kind == "java" || f.Kind == "inlined" && f.Module == nil }

func begins(s string, with []string) bool {
	for _, w := range with {
		if strings.HasPrefix(s, w) {
			return true
		}
	}
	return false
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// origin is the package or the shared object of a frame.
func origin(f *leak.Frame) string {
	if !java(f) || f.Function == nil {
		switch {
		case f.Module != nil:
			return path.Base(*f.Module)
		case f.Kind == "stub":
			return "stubs"
		case f.Kind == "kernel":
			return "the kernel"
		}
		return "unknown code"
	}
	names := strings.Split(class(f), ".")
	keep := 2
	if names[0] == "org" || names[0] == "com" {
		keep = 3
	}
	return strings.Join(names[:min(max(len(names)-1, 1), keep)], ".")
}

// class is the class of a Java method.
func class(f *leak.Frame) string {
	name := bare(value(f.Function))
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return name
}

// outer is class without the names of classes within it: frames of one outer
// class come from one file.
func outer(f *leak.Frame) string {
	c, _, _ := strings.Cut(class(f), "$")
	return c
}

// bare is the name of a function without its parameters.
func bare(name string) string {
	end := strings.TrimSuffix(name, " const")
	if !strings.HasSuffix(end, ")") {
		return name
	}
	depth := 0
	for i := len(end) - 1; i > 0; i-- {
		switch end[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				return end[:i]
			}
		}
	}
	return name
}
