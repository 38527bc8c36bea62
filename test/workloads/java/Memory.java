import java.lang.reflect.Field;
import sun.misc.Unsafe;

/** Raw memory. */
final class Memory {
  static final Unsafe UNSAFE;

  static {
    try {
      Field f = Unsafe.class.getDeclaredField("theUnsafe");
      f.setAccessible(true);
      UNSAFE = (Unsafe) f.get(null);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private Memory() {}

  /** A block whose every page is in memory. */
  static long get(long bytes) {
    long p = UNSAFE.allocateMemory(bytes);
    UNSAFE.setMemory(p, bytes, (byte) 1);
    return p;
  }

  static void free(long p) {
    UNSAFE.freeMemory(p);
  }
}
