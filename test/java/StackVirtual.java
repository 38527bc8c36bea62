import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/** Virtual threads that have parked before they allocate, so that their callers lie in the heap. */
final class StackVirtual {
  private static boolean collect;
  private static long lingerNanos;
  private static Object internal;
  private static Method park;

  private StackVirtual() {}

  /** Adds virtual-DEPTH-PARKS for each of both, where this JDK has virtual threads. */
  static void add(Map<String, StackStress.Scenario> all, Map<String, String> options)
      throws ReflectiveOperationException {
    Method ofVirtual = StackStress.find(Thread.class, "ofVirtual");
    if (ofVirtual == null) {
      return;
    }
    Class<?> builder = Class.forName("java.lang.Thread$Builder");
    Method name = StackStress.find(builder, "name", String.class);
    Method unstarted = StackStress.find(builder, "unstarted", Runnable.class);
    collect = options.getOrDefault("gc", "1").equals("1");
    lingerNanos = Integer.parseInt(options.getOrDefault("linger", "0")) * 1_000_000L;
    if (lingerNanos > 0) { // needs --add-opens java.base/jdk.internal.misc=ALL-UNNAMED
      Class<?> unsafe = Class.forName("jdk.internal.misc.Unsafe");
      internal = unsafe.getMethod("getUnsafe").invoke(null);
      park = unsafe.getMethod("park", boolean.class, long.class);
      park.setAccessible(true);
    }
    for (int depth : StackStress.numbers(options.getOrDefault("depths", "3,20,100,400"))) {
      for (int parks : StackStress.numbers(options.getOrDefault("parks", "1,5"))) {
        String label = "virtual-" + depth + "-" + parks;
        all.put(label, (StackStress.Slow) n -> {
          List<Thread> threads = new ArrayList<>();
          for (int i = 0; i < 2; i++) {
            int number = i == 0 ? n : StackStress.next();
            Object b = name.invoke(ofVirtual.invoke(null), "vt-" + label + "-" + i);
            threads.add((Thread) unstarted.invoke(b, (Runnable) () -> new Task(depth, parks, number).down(depth)));
          }
          threads.forEach(Thread::start);
          for (Thread t : threads) {
            t.join();
          }
        });
      }
    }
  }

  /** Parks a virtual thread's carrier under it, so that it stays on its stack for linger milliseconds. */
  static void linger() {
    if (lingerNanos > 0 && Thread.currentThread().getName().startsWith("vt-")) {
      try {
        for (long end = System.nanoTime() + lingerNanos; System.nanoTime() < end; ) {
          park.invoke(internal, false, end - System.nanoTime());
        }
      } catch (ReflectiveOperationException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** Allocates at the bottom and, on its way back, once more halfway. */
  private static final class Task {
    final int half;
    final int parks;
    final int number;

    Task(int depth, int parks, int number) {
      this.half = depth / 2;
      this.parks = parks;
      this.number = number;
    }

    /** Exactly depth frames of itself; half of them when it allocates on its way back. */
    long down(int depth) {
      if (depth > 1) {
        long below = down(depth - 1);
        if (depth == half) {
          LockSupport.parkNanos(200_000);
          StackStress.block(StackStress.next());
        }
        return below + depth;
      }
      for (int i = 0; i < parks; i++) {
        LockSupport.parkNanos(200_000);
        if (collect && i % 16 == 0 && number % 4 == 0) {
          System.gc();
        }
      }
      StackStress.block(number);
      return depth;
    }
  }
}
