package report

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"vmaleak/leak"
)

// mustStack reads frames, one a line, innermost first: "java.lang.Thread.run()
// Thread.java:840", "+" before it if it was inlined; "malloc libc.so.6+0x9f1c4" of native code,
// with a file and line behind where known; "stub Interpreter".
func mustStack(id, status, reason string, lines string) *leak.Stack {
	st := &leak.Stack{ID: id, Status: status, Frames: []leak.Frame{}}
	if reason != "" {
		st.Reason = &reason
	}
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		f := leak.Frame{Kind: "java"}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "stub" {
			f.Kind, words = "stub", words[1:]
		}
		if rest, inlined := strings.CutPrefix(words[0], "+"); inlined {
			f.Kind, words[0] = "inlined", rest
		}
		if words[0] != "?" {
			f.Function = &words[0]
		}
		for _, w := range words[1:] {
			if module, at, ok := strings.Cut(w, "+0x"); ok {
				n, err := strconv.ParseUint(at, 16, 64)
				if err != nil {
					panic(err)
				}
				offset := leak.Addr(n)
				f.Module, f.Offset = &module, &offset
				if f.Kind == "java" {
					f.Kind = "native"
				}
				continue
			}
			file, line, _ := strings.Cut(w, ":")
			n, err := strconv.Atoi(line)
			if err != nil {
				panic(err)
			}
			f.File, f.Line = &file, &n
		}
		st.Frames = append(st.Frames, f)
	}
	return st
}

const jvmFrames = `
__mmap /usr/lib/x86_64-linux-gnu/libc.so.6+0x10ba30
sysmalloc_mmap.isra.0 /usr/lib/x86_64-linux-gnu/libc.so.6+0x98f12
sysmalloc /usr/lib/x86_64-linux-gnu/libc.so.6+0x9b0d4
_int_malloc /usr/lib/x86_64-linux-gnu/libc.so.6+0x9c2f1
malloc /usr/lib/x86_64-linux-gnu/libc.so.6+0x9d3aa
os::malloc(unsigned_long,MEMFLAGS) /usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so+0xb8d1a2
Unsafe_AllocateMemory0 /usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so+0xdf2c10
jdk.internal.misc.Unsafe.allocateMemory0(long) Unsafe.java:0
+jdk.internal.misc.Unsafe.allocateMemory(long) Unsafe.java:632
java.nio.DirectByteBuffer.<init>(int) DirectByteBuffer.java:120
+java.nio.ByteBuffer.allocateDirect(int) ByteBuffer.java:332
`

const arenaFrames = jvmFrames + `
+io.netty.buffer.PoolArena$DirectArena.allocateDirect(int) PoolArena.java:701
io.netty.buffer.PoolArena$DirectArena.newChunk(int,int,int,int) PoolArena.java:676
io.netty.buffer.PoolArena.allocateNormal(io.netty.buffer.PooledByteBuf,int,int,io.netty.buffer.PoolThreadCache) PoolArena.java:215
+io.netty.buffer.PoolArena.tcacheAllocateSmall(io.netty.buffer.PoolThreadCache,io.netty.buffer.PooledByteBuf,int,int) PoolArena.java:180
io.netty.buffer.PoolArena.allocate(io.netty.buffer.PoolThreadCache,io.netty.buffer.PooledByteBuf,int) PoolArena.java:137
+io.netty.buffer.PoolArena.allocate(io.netty.buffer.PoolThreadCache,int,int) PoolArena.java:129
io.netty.buffer.PooledByteBufAllocator.newDirectBuffer(int,int) PooledByteBufAllocator.java:395
io.netty.buffer.AbstractByteBufAllocator.directBuffer(int,int) AbstractByteBufAllocator.java:188
+io.netty.buffer.AbstractByteBufAllocator.directBuffer(int) AbstractByteBufAllocator.java:179
`

const loopFrames = `
io.netty.channel.nio.NioEventLoop.processSelectedKey(java.nio.channels.SelectionKey,io.netty.channel.nio.AbstractNioChannel) NioEventLoop.java:788
io.netty.channel.nio.NioEventLoop.processSelectedKeysOptimized() NioEventLoop.java:724
+io.netty.channel.nio.NioEventLoop.processSelectedKeys() NioEventLoop.java:650
io.netty.channel.nio.NioEventLoop.run() NioEventLoop.java:562
io.netty.util.concurrent.SingleThreadEventExecutor$4.run() SingleThreadEventExecutor.java:997
io.netty.util.internal.ThreadExecutorMap$2.run() ThreadExecutorMap.java:74
io.netty.util.concurrent.FastThreadLocalRunnable.run() FastThreadLocalRunnable.java:30
java.lang.Thread.run() Thread.java:840
stub StubRoutines(call_stub)
JavaCalls::call_helper(JavaValue*,methodHandle_const&,JavaCallArguments*,JavaThread*) /usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so+0x8b5a11
JavaThread::thread_main_inner() /usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so+0xdc1101
thread_native_entry(Thread*) /usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so+0xb94c55
start_thread /usr/lib/x86_64-linux-gnu/libc.so.6+0x8e134
__clone3 /usr/lib/x86_64-linux-gnu/libc.so.6+0x10e7dc
`

func readStack() *leak.Stack {
	return mustStack("7d1b6a6c2f0e4a55", "complete", "", arenaFrames+`
io.netty.buffer.AbstractByteBufAllocator.ioBuffer(int) AbstractByteBufAllocator.java:140
io.netty.channel.DefaultMaxMessagesRecvByteBufAllocator$MaxMessageHandle.allocate(io.netty.buffer.ByteBufAllocator) DefaultMaxMessagesRecvByteBufAllocator.java:120
io.netty.channel.nio.AbstractNioByteChannel$NioByteUnsafe.read() AbstractNioByteChannel.java:150
`+loopFrames)
}

func handlerStack() *leak.Stack {
	var rec strings.Builder
	for range 40 {
		rec.WriteString("com.acme.mail.Mime.parse(com.acme.mail.Part) Mime.java:88\n")
	}
	return mustStack("19c0ffee00000001", "complete", "", arenaFrames+rec.String()+`
com.acme.mail.Handler$$Lambda/<hidden>.apply(java.lang.Object) Handler.java:0
+java.util.Optional.map(java.util.function.Function) Optional.java:260
com.acme.mail.Handler.channelRead(io.netty.channel.ChannelHandlerContext,java.lang.Object) Handler.java:42
io.netty.channel.AbstractChannelHandlerContext.invokeChannelRead(java.lang.Object) AbstractChannelHandlerContext.java:442
`+loopFrames)
}

// netty leaks as the story does, with stacks of every status.
func netty() *scene {
	sc := james()
	task := "mail-# com.acme.mail.Indexer.run"
	virtual := mustStack("0000000000000003", "continued", "", jvmFrames+`
com.acme.mail.Indexer.index(java.lang.String) Indexer.java:71
com.acme.mail.Indexer.run() Indexer.java:30
java.lang.VirtualThread.run(java.lang.Runnable) VirtualThread.java:309
`)
	virtual.Task = &task
	sc.stacks = []*leak.Stack{readStack(), handlerStack(), virtual,
		mustStack("0000000000000004", "truncated", "the stack is larger than the 64 KiB that are copied", jvmFrames+`
com.acme.mail.a.very.much.too.deeply.nested.pack.age.name.DeeplyRecursiveDescentParserOfHeaders.descendIntoTheNextLevel(int) DeeplyRecursiveDescentParserOfHeaders.java:1204
com.acme.mail.Other.step(int)
`),
		mustStack("0000000000000005", "failed", "no unwind information at libfoo.so+0x1234", `
__mmap /usr/lib/x86_64-linux-gnu/libc.so.6+0x10ba30
? /opt/acme/libfoo.so+0x1234
`), readStack()}
	interpreted := sc.stacks[5]
	interpreted.ID, interpreted.Frames = "0000000000000006", append(mustStack("", "", "", "stub Interpreter").Frames, interpreted.Frames...)
	imap, fork := "imap-worker-3", "ForkJoinPool-1-worker-1"
	sc.thread(26001, "imap-worker-3", &imap)
	sc.thread(26002, "ForkJoinPool-1-", &fork)
	for step := range 12 {
		for i := range 8 {
			sc.now = epoch.Add(time.Duration(step)*52*time.Minute + time.Duration(i)*2*time.Second)
			sc.stack = 1
			if step == 0 {
				sc.stack = 6
			}
			if step%4 == 3 && i == 0 {
				sc.stack = 2
			}
			sc.mmap(i, chunk)
		}
		sc.stack = 3
		sc.mmap(9, 2<<20)
		sc.l.Tick(sc.now)
	}
	sc.stack = 4
	sc.mmap(8, 64<<20)
	sc.stack = 5
	sc.mmap(8, 8<<20)
	sc.stack = 0
	sc.mmap(9, 4<<20)
	sc.mmap(0, 128<<10)
	sc.facts.Events.Stacks = leak.StackCounts{Complete: 96, Continued: 12, Truncated: 1, Failed: 1, None: 1, RateLimited: 1,
		Reasons: map[string]uint64{"the stack is larger than the 64 KiB that are copied": 1, "no unwind information": 1, "smaller than --stack-min": 1}}
	return sc
}

// leaker is a C++ program.
func leaker() *scene {
	sc := newScene(leak.Process{PID: 4711, Space: "4711", Comm: "leaker", Exe: "/opt/acme/bin/leaker", Cmdline: []string{"/opt/acme/bin/leaker", "--fast"}})
	sc.thread(4711, "leaker", nil)
	sc.stacks = []*leak.Stack{mustStack("00000000000000aa", "complete", "", `
__mmap /usr/lib/x86_64-linux-gnu/libc.so.6+0x10ba30
malloc /usr/lib/x86_64-linux-gnu/libc.so.6+0x9d3aa
operator_new(unsigned_long) /usr/lib/x86_64-linux-gnu/libstdc++.so.6+0xae98c
std::vector<Blob>::_M_realloc_insert(Blob*) /opt/acme/bin/leaker+0x4411 /usr/include/c++/12/bits/vector.tcc:440
acme::Cache<std::string,Blob>::insert(std::string_const&,Blob) /opt/acme/bin/leaker+0x2a10 /src/acme/cache.cc:91
? /opt/acme/bin/leaker+0x1f00
codec_decode /opt/acme/lib/libcodec.so.3+0x9001
main /opt/acme/bin/leaker+0x1180 /src/acme/main.cc:17
__libc_start_call_main /usr/lib/x86_64-linux-gnu/libc.so.6+0x2724a
_start /opt/acme/bin/leaker+0x1021
`)}
	sc.stack = 1
	for range 3 {
		sc.now = sc.now.Add(time.Minute)
		sc.mmap(0, 32<<20)
	}
	sc.facts.Events.Stacks.Complete = 3
	return sc
}

// wicked has names that attack a terminal.
func wicked() *scene {
	sc := newScene(leak.Process{PID: 13, Space: "13", Comm: "java", Exe: "/usr/bin/java"})
	sc.thread(13, "java", nil)
	evil := "com.acme.\x1b]0;pwned\a\x1b[2J.Na\u202eme\n.工作线程池名字" + strings.Repeat("x", 300)
	file, module, line := "\x1b[31m"+strings.Repeat("f", 200)+".java", "/lib/\r\n"+strings.Repeat("m", 200), 1<<40
	offset := leak.Addr(1<<63 - 1)
	reason := "\x1b[2J" + strings.Repeat("because ", 100)
	st := &leak.Stack{ID: "evil\xff", Status: "failed", Reason: &reason, Task: &evil}
	for i, kind := range []string{"java", "native", "inlined", "stub", "kernel", "java", "native"} {
		f := leak.Frame{Kind: kind}
		if i < 5 {
			f.Function, f.File, f.Line = &evil, &file, &line
		}
		if i%2 == 1 {
			f.Module, f.BuildID, f.Offset = &module, &evil, &offset
		}
		st.Frames = append(st.Frames, f)
	}
	sc.stacks, sc.stack = []*leak.Stack{st, mustStack("empty", "none", "", "")}, 1
	sc.mmap(0, 1<<20)
	sc.stack = 2
	sc.mmap(0, 1<<20)
	sc.facts.Events.Stacks = leak.StackCounts{Failed: 1, Reasons: map[string]uint64{evil: 1}}
	return sc
}

func stackScenes(t testing.TB) map[string]*leak.Snapshot {
	out := map[string]*leak.Snapshot{}
	for name, sc := range map[string]*scene{"netty": netty(), "blocks": blocks(), "leaker": leaker(), "wicked": wicked()} {
		out[name] = sc.snapshot(t, leak.SourceLive)
	}
	return out
}

// blocks is a leak within malloc's arenas, as --malloc sees it.
func blocks() *scene {
	sc := netty()
	free := uint64(900 << 20)
	sc.facts.Malloc = &leak.MallocFacts{At: sc.now, Arenas: []leak.Arena{{Kind: leak.OtherArena, Start: 0x7f4640000000, Heaps: []leak.Addr{}, Committed: 1 << 30, Free: free}}}
	call, tracked := int64(740), int64(3100)
	sc.facts.Blocks = &leak.BlockFacts{MinSize: 1 << 20, Since: epoch, Dropped: 3, Cost: leak.BlockCost{Calls: 39_000_000, CallNS: &call, TrackedNS: &tracked}}
	for step := range 6 {
		for i := range 8 {
			id := uint64(8*step + i + 1)
			b := leak.Block{ID: id, Size: 16 << 20, At: epoch.Add(time.Duration(step)*time.Hour + time.Duration(i)*time.Second).UnixNano(),
				Thread: sc.facts.Threads[i].Thread, Stack: uint32(1 + step%2)}
			sc.s.BookBlock(&b)
		}
	}
	sc.s.BookBlock(&leak.Block{ID: 100, Size: 2 << 20, At: sc.now.UnixNano(), Thread: sc.facts.Threads[9].Thread})
	sc.s.BookBlock(&leak.Block{Gone: [2]uint64{3}, At: sc.now.UnixNano(), Thread: sc.facts.Threads[9].Thread})
	sc.s.BookBlock(&leak.Block{Failed: true, Size: 1 << 40, At: sc.now.UnixNano(), Thread: sc.facts.Threads[9].Thread})
	return sc
}
