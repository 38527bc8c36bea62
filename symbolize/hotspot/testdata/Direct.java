import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryUsage;
import java.lang.reflect.Field;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Direct buffers on command, and what the JVM says of them. Ends with its input. */
public class Direct {
    static final List<ByteBuffer> HELD = new ArrayList<>();
    static byte[][] kept = new byte[4096][];
    static Object lasting;

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY");
        for (String line; (line = in.readLine()) != null; ) {
            String[] word = line.split(" ");
            switch (word[0]) {
                case "hold": // COUNT SIZE
                    for (int i = 0; i < Integer.parseInt(word[1]); i++) {
                        HELD.add(ByteBuffer.allocateDirect(Integer.parseInt(word[2])));
                    }
                    System.out.println("held");
                    break;
                case "pool":
                    System.out.println(pool());
                    break;
                case "heap":
                    System.out.println(heap());
                    break;
                case "spaces":
                    System.out.println(spaces());
                    break;
                case "load": // DIRECTORY NAME: a class by a loader of its own
                    lasting = new URLClassLoader(new URL[] {Paths.get(word[1]).toUri().toURL()}, null).loadClass(word[2]);
                    Class.forName(word[2], true, ((Class<?>) lasting).getClassLoader());
                    System.out.println("loaded");
                    break;
                case "count": // NUMBER: sets the counter of the class that was loaded
                    Field f = ((Class<?>) lasting).getDeclaredField("DIRECT_MEMORY_COUNTER");
                    f.setAccessible(true);
                    ((AtomicLong) f.get(null)).set(Long.parseLong(word[1]));
                    System.out.println("counted");
                    break;
                case "litter": // MILLIS
                    litter(Long.parseLong(word[1]));
                    System.out.println("littered");
                    break;
                case "drop":
                    lasting = null;
                    kept = new byte[4096][];
                    System.gc();
                    System.gc();
                    System.out.println("dropped");
                    break;
                default:
                    throw new IllegalArgumentException(line);
            }
        }
    }

    /** used, capacity and count of direct buffers, the greatest size they may have. */
    static String pool() {
        for (BufferPoolMXBean b : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
            if (b.getName().equals("direct")) {
                return b.getMemoryUsed() + " " + b.getTotalCapacity() + " " + b.getCount() + " " + Runtime.getRuntime().maxMemory();
            }
        }
        throw new IllegalStateException("no pool of direct buffers");
    }

    static String heap() {
        MemoryUsage u = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
        return u.getUsed() + " " + u.getCommitted() + " " + u.getMax();
    }

    /** used and committed of metaspace with class space, of class space, of the code cache. */
    static String spaces() {
        long[] sums = new long[6];
        for (MemoryPoolMXBean b : ManagementFactory.getMemoryPoolMXBeans()) {
            int i = b.getName().equals("Metaspace") ? 0 : b.getName().equals("Compressed Class Space") ? 2 : b.getName().startsWith("Code") ? 4 : -1;
            if (i >= 0) {
                sums[i] += b.getUsage().getUsed();
                sums[i + 1] += b.getUsage().getCommitted();
            }
        }
        return sums[0] + " " + sums[1] + " " + sums[2] + " " + sums[3] + " " + sums[4] + " " + sums[5];
    }

    /** Keeps the collector busy: much garbage, and survivors that have to be moved. */
    static void litter(long millis) {
        long end = System.nanoTime() + millis * 1_000_000;
        for (int i = 0; System.nanoTime() < end; i++) {
            kept[i * 31 % kept.length] = new byte[2000];
        }
    }
}
