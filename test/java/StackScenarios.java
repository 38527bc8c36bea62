import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/** The calls of StackStress that need no classes of their own. */
@SuppressWarnings("removal")
final class StackScenarios {
  private static final Object LOCK = new Object();

  private StackScenarios() {}

  static void add(Map<String, StackStress.Scenario> all) throws ReflectiveOperationException {
    all.put("plain", StackStress::block);
    all.put("stream", StackScenarios::stream);
    all.put("parallel", StackScenarios::parallel);
    all.put("lambda", StackScenarios::lambda);
    all.put("catch", StackScenarios::caught);
    all.put("finally", StackScenarios::cleanup);
    all.put("recurse-400", n -> down(400, n));
    all.put("recurse-60", n -> down(60, n));
    all.put("recurse-3", n -> down(3, n));
    all.put("deep", n -> down(3000, n)); // deeper than a tracer copies
    all.put("mutual-100", n -> even(100, n));
    all.put("mega", StackScenarios::mega);
    all.put("sync", n -> new Guarded().enter(n));
    all.put("osr", (StackStress.Slow) StackScenarios::osr);
    all.put("compare", StackScenarios::compare);
    all.put("privileged", n -> AccessController.doPrivileged((PrivilegedAction<Object>) () -> pass(n)));
    all.put("wide", n -> wide(1, 2.5, 3L, 4f, (short) 5, (byte) 6, 'c', true, 9L, 10.5, 11L, 12L, n));

    Method target = StackScenarios.class.getDeclaredMethod("pass", int.class);
    all.put("reflect", n -> target.invoke(null, n));
    MethodHandles.Lookup lookup = MethodHandles.lookup();
    MethodHandle direct =
        lookup.findStatic(StackStress.class, "block", MethodType.methodType(void.class, int.class));
    MethodHandle bound = MethodHandles.foldArguments(direct,
        MethodHandles.dropReturn(lookup.findStatic(Integer.class, "bitCount", MethodType.methodType(int.class, int.class))));
    MethodHandle guarded = MethodHandles.guardWithTest(
        lookup.findStatic(StackScenarios.class, "isEven", MethodType.methodType(boolean.class, int.class)), bound, direct);
    MethodHandle virtual =
        lookup.findVirtual(IntConsumer.class, "accept", MethodType.methodType(void.class, int.class));
    IntConsumer consumer = StackStress::block;
    all.put("handle", n -> { direct.invokeExact(n); });
    all.put("handle-guard", n -> { guarded.invokeExact(n); });
    all.put("handle-virtual", n -> { virtual.invokeExact(consumer, n); });
    all.put("handle-args", n -> direct.invokeWithArguments(n));
    InvocationHandler handler = (proxy, method, arguments) -> pass((Integer) arguments[0]);
    IntConsumer proxy = (IntConsumer) Proxy.newProxyInstance(
        StackScenarios.class.getClassLoader(), new Class<?>[] {IntConsumer.class}, handler);
    all.put("proxy", proxy::accept);
  }

  static Object pass(int n) {
    StackStress.block(n);
    return null;
  }

  static boolean isEven(int n) {
    return (n & 1) == 0;
  }

  static void stream(int n) {
    StackStress.sink = IntStream.range(0, 3).map(i -> i * 2).filter(i -> i == 2).boxed()
        .flatMap(i -> List.of(i, i + 1).stream()).map(i -> i == 3 ? pass(n) : i).toArray();
  }

  /** The block may come from a worker of the common pool; its stack says so. */
  static void parallel(int n) {
    IntStream.range(0, 64).parallel().forEach(i -> StackStress.block(i == 63 ? n : -1));
  }

  static void lambda(int n) {
    Runnable innermost = () -> pass(n);
    Runnable outer = () -> innermost.run();
    List.of(outer).forEach(Runnable::run);
  }

  static void caught(int n) {
    try {
      thrower(5, n);
    } catch (IllegalStateException e) {
      StackStress.block(n);
    }
  }

  static int thrower(int depth, int n) {
    if (depth == 0) {
      throw new IllegalStateException(n < 0 ? null : "expected");
    }
    return thrower(depth - 1, n) + 1;
  }

  static void cleanup(int n) {
    try {
      unwinding(3, n);
    } catch (IllegalStateException e) {
      StackStress.sink = e;
    }
  }

  /** The exception passes while the block is allocated. */
  static void unwinding(int depth, int n) {
    try {
      if (depth > 0) {
        unwinding(depth - 1, n);
      } else {
        StackStress.sink = ((Object[]) StackStress.sink)[n < 0 ? 1 << 20 : 1 << 21];
      }
    } catch (ClassCastException | ArrayIndexOutOfBoundsException | NullPointerException e) {
      throw new IllegalStateException(e);
    } finally {
      StackStress.block(depth == 1 ? n : -1);
    }
  }

  /** Exactly depth frames of itself. */
  static int down(int depth, int n) {
    if (depth == 1) {
      StackStress.block(n);
      return 1;
    }
    return down(depth - 1, n) + 1;
  }

  static long even(int depth, int n) {
    return depth == 1 ? end(n) : odd(depth - 1, n, depth) + 1;
  }

  static long odd(int depth, int n, long pad) {
    return depth == 1 ? end(n) : even(depth - 1, n) + pad;
  }

  private static long end(int n) {
    StackStress.block(n);
    return 0;
  }

  interface Shape {
    int area(int depth, int n);
  }

  private static final Shape[] SHAPES = {
    new Shape() {
      @Override
      public int area(int depth, int n) {
        return next(depth, n) + 1;
      }
    },
    new Shape() {
      @Override
      public int area(int depth, int n) {
        return next(depth, n) + 2;
      }
    },
    new Shape() {
      @Override
      public int area(int depth, int n) {
        return next(depth, n) + 3;
      }
    },
    (depth, n) -> next(depth, n) + 4,
    (depth, n) -> next(depth, n) + 5,
  };

  static int next(int depth, int n) {
    if (depth == 0) {
      StackStress.block(n);
      return 0;
    }
    return SHAPES[(depth + n & 0xff) % SHAPES.length].area(depth - 1, n);
  }

  static void mega(int n) {
    next(12, n);
  }

  private static final class Guarded {
    synchronized void enter(int n) {
      inner(n);
    }

    private synchronized void inner(int n) {
      synchronized (LOCK) {
        once(this, n);
      }
    }

    private static synchronized void once(Object o, int n) {
      synchronized (o) {
        StackStress.block(n);
      }
    }
  }

  /** The block comes out of a loop that is compiled while it runs. */
  static void osr(int n) {
    long sum = 0;
    for (int i = 0; i < 300_000; i++) {
      sum += (sum ^ i) % 7;
      if (i == 290_000) {
        StackStress.block(n);
      }
    }
    StackStress.sink = sum;
  }

  static void compare(int n) {
    Integer[] a = {3, 1, 2, 5, 4, 9, 8, 7};
    int[] calls = {0};
    Comparator<Integer> order = (x, y) -> {
      StackStress.block(++calls[0] == 9 ? n : -1);
      return Integer.compare(x, y);
    };
    Arrays.sort(a, order.reversed().thenComparing(Comparator.naturalOrder()));
  }

  /** More arguments than registers, so that adapters move some of them on the stack. */
  static double wide(int a, double b, long c, float d, short e, byte f, char g, boolean h, long i, double j,
      long k, long l, int n) {
    IntUnaryOperator op = x -> {
      StackStress.block(n);
      return x;
    };
    return op.applyAsInt(a) + b + c + d + e + f + g + (h ? 1 : 0) + i + j + k + l;
  }
}
