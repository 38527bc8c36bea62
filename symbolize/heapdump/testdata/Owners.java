import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.lang.reflect.Field;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.LinkedList;
import java.util.Map;

/** Holds direct buffers in every way, says where they are, and dumps its own heap into a file. */
public final class Owners {
  static final Map<String, ByteBuffer> SESSIONS = new HashMap<>();
  static final LinkedList<ByteBuffer> QUEUE = new LinkedList<>();
  static WeakReference<ByteBuffer> weak;
  static Handle handle;

  /** What a library of native code has: an address in a long. */
  static final class Handle {
    final long pointer;

    Handle(long pointer) {
      this.pointer = pointer;
    }
  }

  private static ByteBuffer take(String what, int bytes) throws Exception {
    ByteBuffer b = ByteBuffer.allocateDirect(bytes);
    Field address = Buffer.class.getDeclaredField("address");
    address.setAccessible(true);
    System.out.printf("%s %d %d%n", what, address.getLong(b), bytes);
    return b;
  }

  public static void main(String[] args) throws Exception {
    for (int i = 0; i < 7; i++) {
      SESSIONS.put("session-" + i, take("map", 10_000));
    }
    for (int i = 0; i < 5_000; i++) {
      QUEUE.add(i == 4_999 ? take("list", 20_000) : null);
    }
    weak = new WeakReference<>(take("weak", 30_000));
    Object[] local = {take("local", 40_000)};
    take("dropped", 50_000);
    Handle dropped = new Handle(0);
    Field address = Buffer.class.getDeclaredField("address");
    address.setAccessible(true);
    ByteBuffer b = take("handle", 60_000);
    handle = new Handle(address.getLong(b) + 8);
    b = null;
    Thread thread = new Thread(() -> {
      try {
        ByteBuffer mine = take("frame", 70_000);
        synchronized (Owners.class) {
          Owners.class.notifyAll();
        }
        Thread.sleep(1_000_000);
        mine.get(0);
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }, "h\u00e4lt-7");
    thread.setDaemon(true);
    synchronized (Owners.class) {
      thread.start();
      Owners.class.wait();
    }
    while (thread.getState() != Thread.State.TIMED_WAITING) {
      Thread.onSpinWait();
    }
    ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class).dumpHeap(args[0], false);
    System.out.println("done " + local.length);
  }
}
