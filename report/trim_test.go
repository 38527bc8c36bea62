package report

import (
	"fmt"
	"strings"
	"testing"

	"vmaleak/leak"
)

func TestLevelsOfFrames(t *testing.T) {
	exe := func(exe string, cmdline ...string) judge { return judgeOf(&leak.Entry{Exe: &exe, Cmdline: cmdline}) }
	jvm, native := exe("/usr/bin/java", "java", "-jar", "x.jar"), exe("/opt/leaker")
	broker := exe("/usr/bin/java", "java", "-Dorg.apache.Something=1", "org.apache.kafka.server.Kafka", "org.apache.camel.Other")
	boot := exe("/usr/bin/java", "java", "org.springframework.boot.loader.JarLauncher")
	for _, tt := range []struct {
		j    judge
		line string
		want level
	}{
		{jvm, "com.acme.Handler.read() Handler.java:1", application},
		{jvm, "Main.main(java.lang.String[]) Main.java:1", application},
		{jvm, "com.acme.Handler$$Lambda/<hidden>.run()", application},
		{jvm, "io.netty.buffer.PoolArena.allocate() PoolArena.java:1", library},
		{jvm, "org.apache.kafka.common.network.Selector.poll()", library},
		{broker, "org.apache.kafka.common.network.Selector.poll()", application},
		{broker, "org.apache.camel.Other.run()", library},
		{boot, "org.springframework.boot.loader.JarLauncher.main()", library},
		{jvm, "+java.nio.ByteBuffer.allocateDirect(int)", platform},
		{jvm, "com.sun.proxy.$Proxy7.call()", platform},
		{jvm, "java.lang.Thread.run() Thread.java:840", machine},
		{jvm, "stub Interpreter", machine},
		{jvm, "?", engine},
		{jvm, "os::malloc(unsigned_long) /x/libjvm.so+0x1", engine},
		{jvm, "main /usr/bin/java+0x1", engine},
		{jvm, "rocksdb::Arena::AllocateNewBlock /tmp/librocksdbjni.so+0x1", library},
		{jvm, "malloc /lib/libc.so.6+0x1", machine},
		{jvm, "je_malloc /lib/libjemalloc.so.2+0x1", machine},
		{native, "main /opt/leaker+0x1", application},
		{native, "? /opt/leaker+0x1", application},
		{native, "+acme::grow /opt/leaker+0x1", application},
		{native, "runtime.mallocgc /opt/leaker+0x1", machine},
		{native, "std::vector<int>::reserve /opt/leaker+0x1", machine},
		{native, "? [vdso]+0x1", machine},
	} {
		f := mustStack("x", "complete", "", tt.line).Frames[0]
		if got := tt.j.level(&f); got != tt.want {
			t.Errorf("%s is of level %d, want %d", tt.line, got, tt.want)
		}
	}
}

// trimmed is what is left of a stack, one line each.
func trimmed(j judge, lines string) (text string) {
	pieces, _ := trim(mustStack("x", "complete", "", lines).Frames, j)
	for _, p := range pieces {
		switch name := value(p.frames[0].Function); {
		case p.folded:
			text += fmt.Sprintf("%d folded\n", len(p.frames))
		case len(p.frames) > 1:
			text += fmt.Sprintf("%s x%d\n", name, len(p.frames))
		default:
			text += name + "\n"
		}
	}
	return text
}

func TestStacksAreTrimmed(t *testing.T) {
	chain := func(format string, n int) (lines string) {
		for i := range n {
			lines += fmt.Sprintf(format+"\n", i)
		}
		return lines
	}
	for _, tt := range []struct{ name, lines, want string }{
		{"what called the application is folded", "java.nio.A.a()\nio.netty.B.b()\ncom.acme.C.c()\nio.netty.D.d()\nio.netty.E.e()\njava.lang.Thread.run()",
			"1 folded\nio.netty.B.b()\ncom.acme.C.c()\n3 folded\n"},
		{"without an application the libraries are shown", "java.nio.A.a()\nio.netty.B.b()\njava.util.C.c()\nio.netty.D.d()\njava.lang.Thread.run()",
			"1 folded\nio.netty.B.b()\n1 folded\nio.netty.D.d()\n1 folded\n"},
		{"without a library the JDK", "malloc libc.so.6+0x1\njava.nio.A.a()\njava.lang.Thread.run()", "1 folded\njava.nio.A.a()\n1 folded\n"},
		{"without Java the virtual machine", "malloc libc.so.6+0x1\nos::malloc libjvm.so+0x1\nstart_thread libc.so.6+0x1", "1 folded\nos::malloc\n1 folded\n"},
		{"with nothing but the C library, that", "mmap libc.so.6+0x1\nstart_thread libc.so.6+0x1", "mmap\nstart_thread\n"},
		{"recursion is one line", strings.Repeat("com.acme.A.a()\n", 400) + "com.acme.B.b()", "com.acme.A.a() x400\ncom.acme.B.b()\n"},
		{"inlined or not", "com.acme.A.a()\n+com.acme.A.a()\ncom.acme.A.a()", "com.acme.A.a() x3\n"},
		{"many frames of one class are few", "io.netty.A.a()\nio.netty.A.b()\nio.netty.A$B.c()\nio.netty.A.d()\nio.netty.C.e()", "io.netty.A.a()\n2 folded\nio.netty.A.d()\nio.netty.C.e()\n"},
		{"but not of the application", chain("com.acme.A.m%d()", 6), chain("com.acme.A.m%d()", 6)},
		{"long stacks lose their middle", chain("com.acme.A%d.a()", 100), chain("com.acme.A%d.a()", 15) + "81 folded\n" + "com.acme.A96.a()\ncom.acme.A97.a()\ncom.acme.A98.a()\ncom.acme.A99.a()\n"},
		{"nothing", "", ""},
	} {
		if got := trimmed(judge{exe: "java"}, tt.lines); got != tt.want {
			t.Errorf("%s:\n%swant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestFramesFit(t *testing.T) {
	for _, tt := range []struct {
		line string
		n    int
		want string
	}{
		{"com.acme.Handler.channelRead(java.lang.Object,int) Handler.java:42", 76, "com.acme.Handler.channelRead(Handler.java:42)"},
		{"com.acme.Handler.channelRead(int) Handler.java:42", 40, "com.acme.Handler.channelRead(…:42)"},
		{"com.acme.Handler.channelRead(int) Handler.java:42", 30, "com.acme.Ha….channelRead(…:42)"},
		{"com.acme.Handler.channelRead(int)", 76, "com.acme.Handler.channelRead"},
		{"? /opt/app+0x12ab", 76, "app+0x12ab"},
		{"?", 76, "unknown method"},
		{"acme::grow(int) /opt/app+0x12ab", 76, "acme::grow (app+0x12ab)"},
		{"acme::grow(int) /opt/app+0x12ab /src/x/grow.cc:7", 76, "acme::grow (grow.cc:7)"},
		{"Foo::operator()(int) /opt/app+0x1", 76, "Foo::operator() (app+0x1)"},
		{"main.(*T).leak /opt/app+0x1 main.go:9", 76, "main.(*T).leak (main.go:9)"},
	} {
		f := mustStack("x", "complete", "", tt.line).Frames[0]
		if got := frame(&f, tt.n); got != tt.want {
			t.Errorf("%s is %q, want %q", tt.line, got, tt.want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add("com.acme.Handler.channelRead(int)", "Handler.java", "/lib/libjvm.so", 42, 60, true)
	f.Add("\x1b[2J工作\u202e\xff)", "\n", "", -1, 0, false)
	f.Fuzz(func(t *testing.T, function, file, module string, line, n int, inlined bool) {
		fr := leak.Frame{Kind: "native", Function: &function, File: &file, Line: &line}
		if inlined {
			fr.Kind = "inlined"
		}
		if module != "" {
			fr.Module = &module
		}
		n = 20 + n&127
		got := frame(&fr, n)
		harmless(t, got, n)
		harmless(t, origins([]leak.Frame{fr, fr, {Kind: "stub"}}, n), n)
		judge{exe: "java"}.level(&fr)
	})
}
