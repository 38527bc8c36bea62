import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.Deque;
import java.util.concurrent.CountDownLatch;

/** Threads on command, each of which prints its native id and its name. Ends with its input. */
public class Named {
    static final String[] HOSTILE = {
        "say \"hi\" #7 nid=0x1", "two\nlines", "ünïcödé größer 線程-9-5", "", "tab\there", "\u001b[31mred",
        "x\" #99 daemon prio=5 os_prio=0 tid=0x1 nid=0x2 runnable", "a name that the kernel cuts at fifteen bytes",
    };

    static final class Worker extends Thread {
        final CountDownLatch end = new CountDownLatch(1);

        Worker(String name) {
            super(null, null, name, 256 << 10);
        }

        @Override public void run() {
            report(getName());
            try {
                end.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    static synchronized void report(String name) {
        try {
            String link = Files.readSymbolicLink(Paths.get("/proc/thread-self")).toString();
            String tid = link.substring(link.lastIndexOf('/') + 1);
            System.out.println("T " + tid + " " + Base64.getEncoder().encodeToString(name.getBytes(StandardCharsets.UTF_8)));
        } catch (java.io.IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Keeps the collector busy for so many milliseconds: much garbage, and survivors that have to be moved. */
    static void litter(long millis) {
        byte[][] kept = new byte[4096][];
        long end = System.nanoTime() + millis * 1_000_000;
        for (int i = 0; System.nanoTime() < end; i++) {
            kept[i * 31 % kept.length] = new byte[2000];
        }
    }

    public static void main(String[] args) throws Exception {
        Deque<Worker> workers = new ArrayDeque<>();
        int count = Integer.parseInt(args[0]);
        for (int i = 0; i < count; i++) {
            Worker w = new Worker(i < HOSTILE.length ? HOSTILE[i] : "WorkerPetalGroup-9-" + i);
            w.setDaemon(true);
            w.start();
            workers.push(w);
        }
        report("main");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            if (line.startsWith("start ")) {
                Worker w = new Worker(line.substring(6));
                w.setDaemon(true);
                w.start();
                workers.push(w);
            } else if (line.equals("stop")) {
                Worker w = workers.pop();
                w.end.countDown();
                w.join();
                System.out.println("ok");
            } else if (line.equals("gc")) {
                System.gc();
                System.out.println("ok");
            } else if (line.startsWith("litter ")) {
                litter(Long.parseLong(line.substring(7)));
                System.out.println("ok");
            }
        }
    }
}
