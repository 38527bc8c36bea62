import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import java.util.HashMap;
import java.util.Map;

/**
 * Takes buffers of 64 KiB from Netty's pool, each with one reference too many, and either keeps them
 * in a map or forgets them. Both fill the pool's chunks alike; only the Java heap tells them apart.
 *
 * <pre>
 * NETTY=$(echo /usr/share/java/netty-*.jar | tr ' ' ':')
 * javac -d OUT -cp "$NETTY" NettyHolders.java
 * java -cp "OUT:$NETTY" NettyHolders kept|dropped|collected BUFFERS [HEAP_MIB]
 *
 * collected  dropped, and then the garbage is collected: not even the buffers are left
 * HEAP_MIB   also fill this much of the heap with small objects that refer to one another
 * </pre>
 *
 * Prints "range START-END" for each chunk's worth of its buffers, then "ready", and runs until it
 * is killed.
 */
public final class NettyHolders {
  private static final int BYTES = 64 << 10;

  /** The owner that must be named. */
  static final Map<String, ByteBuf> SESSIONS = new HashMap<>();

  private static Object[] ballast;

  private NettyHolders() {}

  private static final class Pair {
    final Object left;
    final Object right;

    Pair(Object left, Object right) {
      this.left = left;
      this.right = right;
    }
  }

  private static long[] take(boolean keep, int buffers) {
    long[] addresses = new long[buffers];
    for (int i = 0; i < buffers; i++) {
      ByteBuf buf = PooledByteBufAllocator.DEFAULT.directBuffer(BYTES, BYTES);
      buf.retain();
      buf.release();
      buf.writeLong(i);
      addresses[i] = buf.memoryAddress();
      if (keep) {
        SESSIONS.put("session-" + i, buf);
      }
    }
    return addresses;
  }

  public static void main(String[] args) throws Exception {
    System.getProperties().putIfAbsent("io.netty.allocator.maxOrder", "11");
    System.getProperties().putIfAbsent("io.netty.leakDetection.level", "disabled");
    System.getProperties().putIfAbsent("io.netty.allocator.numDirectArenas", "1");
    if (args.length > 2) {
      // About 24 bytes each with compressed references.
      ballast = new Object[Integer.parseInt(args[2]) * (1 << 20) / 28];
      for (int i = 0; i < ballast.length; i++) {
        ballast[i] = new Pair(i > 0 ? ballast[i - 1] : null, i > 9 ? ballast[i * 9 / 10] : null);
      }
    }
    long[] addresses = take(args[0].equals("kept"), Integer.parseInt(args[1]));
    long start = 0;
    long end = 0;
    java.util.Arrays.sort(addresses);
    for (long address : addresses) {
      if (address != end) {
        range(start, end);
        start = address;
      }
      end = address + BYTES;
    }
    range(start, end);
    if (args[0].equals("collected")) {
      System.gc();
    }
    System.out.println("ready");
    while (true) {
      Thread.sleep(1000);
    }
  }

  private static void range(long start, long end) {
    if (end > start) {
      System.out.printf("range 0x%x-0x%x%n", start, end);
    }
  }
}
