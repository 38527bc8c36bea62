import java.lang.reflect.Field;
import sun.misc.Unsafe;

/**
 * Maps memory at a steady rate out of stacks of 44 frames, for measuring what a tracer spends
 * on a stack.
 *
 * <pre>
 * java -cp OUT StackCost [rate=2000] [seconds=10] [levels=22] [different=1]
 * </pre>
 *
 * Each of a call's levels is one of two methods, and the bits of the call's number say which: so there
 * are as many different stacks as it counts to, all of frames that are seen often. It warms up and
 * prints "ready". For each line on stdin it maps rate times a second and prints "end COUNT".
 */
public final class StackCost {
  // Above what malloc keeps: each is a mapping of its own.
  private static final long SIZE = 33L << 20;

  private static final Unsafe UNSAFE = unsafe();

  private StackCost() {}

  private static Unsafe unsafe() {
    try {
      Field f = Unsafe.class.getDeclaredField("theUnsafe");
      f.setAccessible(true);
      return (Unsafe) f.get(null);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private static void zero(int levels, int which, boolean map) {
    if (levels == 0) {
      end(map);
    } else if ((which & 1) == 0) {
      zero(levels - 1, which >>> 1, map);
    } else {
      one(levels - 1, which >>> 1, map);
    }
  }

  private static void one(int levels, int which, boolean map) {
    if (levels == 0) {
      end(map);
    } else if ((which & 1) == 0) {
      zero(levels - 1, which >>> 1, map);
    } else {
      one(levels - 1, which >>> 1, map);
    }
  }

  private static void end(boolean map) {
    if (map) {
      UNSAFE.freeMemory(UNSAFE.allocateMemory(SIZE));
    }
  }

  public static void main(String[] args) throws Exception {
    int rate = 2000, seconds = 10, levels = 22, different = 1;
    for (String a : args) {
      String[] pair = a.split("=", 2);
      int n = Integer.parseInt(pair[1]);
      switch (pair[0]) {
        case "rate": rate = n; break;
        case "seconds": seconds = n; break;
        case "levels": levels = n; break;
        case "different": different = n; break;
        default: throw new IllegalArgumentException(a);
      }
    }
    for (int i = 0; i < 200_000; i++) { // until it is compiled for good
      zero(levels, i, i % 1000 == 0);
    }
    System.out.println("ready");
    int number = 0, count = rate * seconds;
    while (System.in.read() >= 0) {
      long from = System.nanoTime();
      for (int i = 0; i < count; i++) {
        long left = from + i * 1_000_000_000L / rate - System.nanoTime();
        if (left > 0) {
          Thread.sleep(left / 1_000_000, (int) (left % 1_000_000));
        }
        zero(levels, number++ % different, true);
      }
      System.out.println("end " + count);
    }
  }
}
