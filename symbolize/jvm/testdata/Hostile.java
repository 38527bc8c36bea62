import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.concurrent.CountDownLatch;

/** Starts threads with hostile names and prints, for each, its native id and its name; then waits for its input to end. */
public class Hostile {
    static final String[] NAMES = {
        "say \"hi\" #7 nid=0x1", "two\nlines", "线程-9-5 ünï", "tab\there", "",
        "a name of more than fifteen bytes that the kernel cuts",
        "x\" #99 daemon prio=5 os_prio=0 tid=0x1 nid=0x2 runnable",
        "x\" #99 daemon prio=5 os_prio=0 cpu=1.00ms elapsed=1.00s tid=0x00007f0000001000 nid=0x1 runnable  [0x00007f0000001000]",
        "a\n\n\"b\" #9 prio=5 os_prio=0 cpu=1.00ms elapsed=1.00s tid=0x00007f0000001000 nid=0x1 runnable  [0x00007f0000001000]\n"
            + "   java.lang.Thread.State: RUNNABLE\n\tat evil.Frame.run(Frame.java:1)\n\n\"c",
        "\n2021-03-01 22:49:08\nFull thread dump Evil VM (1.0 mixed mode):\n\n\"q", "\n", "\"", "\"\n\"", "\\", "😀 emoji", "nul\0nul", "cr\rcr",
        "JNI global refs: 4, weak refs: 0\n\n", "ends in a quote\"", "\" #1", "<script>alert(1)</script>", "\u001b[31mred",
    };

    static final Path SELF = Path.of("/proc/thread-self");

    static synchronized void report(String kind, String name) {
        try {
            String link = Files.readSymbolicLink(SELF).toString();
            String tid = link.substring(link.lastIndexOf('/') + 1);
            System.out.println(kind + " " + tid + " " + Base64.getEncoder().encodeToString(name.getBytes(StandardCharsets.UTF_8)));
        } catch (java.io.IOException e) {
            throw new RuntimeException(e);
        }
    }

    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        CountDownLatch ready = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            String name = i < NAMES.length ? NAMES[i] : NAMES[i % NAMES.length] + "-" + i;
            Thread t = new Thread(null, () -> {
                report("T", Thread.currentThread().getName());
                ready.countDown();
                try {
                    Thread.sleep(Long.MAX_VALUE);
                } catch (InterruptedException e) {
                    return;
                }
            }, name, 256 << 10);
            t.setDaemon(true);
            t.start();
        }
        ready.await();
        report("T", "main");
        try {
            CountDownLatch mounted = new CountDownLatch(1);
            Runnable busy = () -> {
                report("V", "");
                mounted.countDown();
                for (;;) {
                    Thread.onSpinWait();
                }
            };
            Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, busy);
            mounted.await();
        } catch (NoSuchMethodException e) {
            // before Java 21
        }
        System.out.println("READY");
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
