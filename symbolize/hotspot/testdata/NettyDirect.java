import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Netty's buffers on command, and what Netty and the JVM count of them. Ends with its input. */
public class NettyDirect {
    static final List<ByteBuf> HELD = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY");
        for (String line; (line = in.readLine()) != null; ) {
            if (line.startsWith("hold ")) {
                HELD.add(PooledByteBufAllocator.DEFAULT.directBuffer(Integer.parseInt(line.substring(5))));
            } else if (line.equals("release")) {
                HELD.forEach(ByteBuf::release);
                HELD.clear();
            }
            System.out.println(netty("DIRECT_MEMORY_COUNTER") + " " + netty("DIRECT_MEMORY_LIMIT") + " " + pool());
        }
    }

    /** Netty's own counter or limit; -1 if it does not count. */
    static long netty(String name) throws Exception {
        Field f = Class.forName("io.netty.util.internal.PlatformDependent").getDeclaredField(name);
        f.setAccessible(true);
        Object value = f.get(null);
        return value instanceof AtomicLong ? ((AtomicLong) value).get() : value == null ? -1 : (Long) value;
    }

    static long pool() {
        for (BufferPoolMXBean b : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
            if (b.getName().equals("direct")) {
                return b.getMemoryUsed();
            }
        }
        throw new IllegalStateException("no pool of direct buffers");
    }
}
