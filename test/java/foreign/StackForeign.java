import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Map;

/** Stacks that go from Java to C and back, by the foreign function interface of JDK 22 and later. */
public final class StackForeign {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final ThreadLocal<int[]> LEFT = ThreadLocal.withInitial(() -> new int[2]);
  private static final MethodHandle QSORT =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("qsort").orElseThrow(),
          FunctionDescriptor.ofVoid(
              ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS));
  private static MemorySegment order;

  private StackForeign() {}

  public static void add(Map<String, StackStress.Scenario> all) throws ReflectiveOperationException {
    MethodHandle compare =
        MethodHandles.lookup()
            .findStatic(
                StackForeign.class,
                "compare",
                MethodType.methodType(int.class, MemorySegment.class, MemorySegment.class));
    order =
        LINKER.upcallStub(
            compare,
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS),
            Arena.global());
    all.put("foreign", n -> sort(1, n));
    all.put("foreign-nested", n -> sort(3, n));
  }

  /** Has C sort four numbers, and Java compare them, and in one of the comparisons does so again. */
  static void sort(int levels, int n) {
    int[] left = LEFT.get();
    left[0] = levels;
    left[1] = n;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment numbers = arena.allocateFrom(ValueLayout.JAVA_LONG, 4, 2, 3, 1);
      try {
        QSORT.invokeExact(numbers, 4L, 8L, order);
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
  }

  static int compare(MemorySegment a, MemorySegment b) {
    int[] left = LEFT.get();
    int levels = left[0];
    left[0] = 0; // once a level
    if (levels > 1) {
      sort(levels - 1, left[1]);
    } else if (levels == 1) {
      StackStress.block(left[1]);
    }
    return Long.compare(a.address(), b.address());
  }
}
