import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

/** The calls of StackStress that load classes, that lose assumptions, and that come from short threads. */
final class StackClasses {
  /** Classes and their code live for a while after their use: what is gone at once cannot be named from outside. */
  private static final Object[] RECENT = new Object[256];

  private static int recent;

  private StackClasses() {}

  private static synchronized void keep(Object o) {
    RECENT[recent++ % RECENT.length] = o;
  }

  static void add(Map<String, StackStress.Scenario> all) {
    all.put("load", (StackStress.Slow) StackClasses::load);
    all.put("clinit", (StackStress.Slow) StackClasses::initialise);
    all.put("hidden", (StackStress.Slow) StackClasses::hidden);
    all.put("deopt", (StackStress.Slow) StackClasses::deoptimise);
    all.put("trap", (StackStress.Slow) StackClasses::trap);
    all.put("churn", (StackStress.Slow) StackClasses::churn);
    all.put("gc", (StackStress.Slow) StackClasses::collect);
  }

  /** Defines some classes anew instead of asking its parent. Each of its kind can be unloaded. */
  private static final class Loader extends ClassLoader {
    Loader() {
      super(StackClasses.class.getClassLoader());
      keep(this);
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (!name.startsWith("StackClasses$Fresh")) {
        return super.loadClass(name, resolve);
      }
      Class<?> known = findLoadedClass(name);
      if (known != null) {
        return known;
      }
      byte[] code = StackStress.bytecode(getParent().loadClass(name));
      return defineClass(name, code, 0, code.length);
    }
  }

  /** Is loaded by a loader of its own for each block. */
  public static final class FreshPlain implements StackStress.Scenario {
    @Override
    public void call(int n) {
      for (int i = 0; i < 400; i++) {
        step(-1);
      }
      step(n);
    }

    private static void step(int n) {
      Runnable r = () -> StackStress.block(n);
      r.run();
    }
  }

  /** Allocates while it is initialised, which the VM calls. */
  public static final class FreshInit {
    static {
      start(Integer.getInteger("stack.number." + Thread.currentThread().getName()));
    }

    static void start(int n) {
      StackStress.block(n);
    }
  }

  /** Is overridden only when FreshSub is loaded. */
  public static class FreshBase {
    int value(int depth, FreshDriver d, int n) {
      return d.drive(this, depth - 1, n) + 1;
    }
  }

  /** Breaks the assumption that FreshBase.value is never overridden. */
  public static final class FreshSub extends FreshBase {
    @Override
    int value(int depth, FreshDriver d, int n) {
      return 0;
    }
  }

  /** Its frames are compiled for FreshBase alone, and are on the stack when FreshSub is loaded. */
  public static final class FreshDriver implements StackStress.Scenario {
    @Override
    public void call(int n) throws Throwable {
      FreshBase b = new FreshBase();
      for (int i = 0; i < 3000; i++) {
        drive(b, 10, -1);
      }
      drive(b, 10, n);
    }

    int drive(FreshBase b, int depth, int n) {
      if (depth > 0) {
        return b.value(depth, this, n);
      }
      if (n >= 0) {
        bottom(n);
      }
      return 0;
    }

    private static void bottom(int n) {
      StackStress.sink = new FreshSub();
      StackStress.block(n);
    }
  }

  /** Is compiled for an int that is small, and trapped when it is not. */
  public static final class FreshTrap implements StackStress.Scenario {
    @Override
    public void call(int n) {
      for (int i = 0; i < 20000; i++) {
        choose(i & 7, -1);
      }
      choose(100, n);
    }

    static int choose(int x, int n) {
      if (x > 50) {
        Object o = StackStress.sink;
        StackStress.block(n);
        return o == null ? 1 : 2;
      }
      return x + 1;
    }
  }

  static StackStress.Scenario fresh(Class<?> c) throws ReflectiveOperationException {
    Class<?> anew = new Loader().loadClass(c.getName());
    return (StackStress.Scenario) anew.getDeclaredConstructor().newInstance();
  }

  static void load(int n) throws Throwable {
    fresh(FreshPlain.class).call(n);
  }

  static void deoptimise(int n) throws Throwable {
    fresh(FreshDriver.class).call(n);
  }

  static void trap(int n) throws Throwable {
    fresh(FreshTrap.class).call(n);
  }

  static void initialise(int n) throws Throwable {
    System.setProperty("stack.number." + Thread.currentThread().getName(), "" + n);
    Class.forName(FreshInit.class.getName(), true, new Loader());
  }

  static void hidden(int n) throws Throwable {
    MethodHandles.Lookup l =
        MethodHandles.lookup().defineHiddenClass(StackStress.bytecode(HiddenBody.class), true);
    keep(l.lookupClass());
    MethodHandle run = l.findStatic(l.lookupClass(), "run", MethodType.methodType(void.class, int.class));
    run.invokeExact(n);
  }

  /** Is defined as a hidden class. */
  static final class HiddenBody {
    static void run(int n) {
      StackStress.block(n);
    }
  }

  static void churn(int n) throws Throwable {
    AtomicReference<Throwable> wrong = new AtomicReference<>();
    Thread t = new Thread(() -> StackStress.block(n), "st-churn-short");
    t.setUncaughtExceptionHandler((x, e) -> wrong.set(e));
    t.start();
    t.join();
    if (wrong.get() != null) {
      throw wrong.get();
    }
  }

  static void collect(int n) {
    Object[] kept = new Object[64];
    for (int i = 0; i < 4096; i++) {
      kept[i & 63] = new byte[4096];
    }
    StackStress.sink = kept;
    if ((n & 7) == 0) {
      System.gc();
    }
    StackStress.block(n);
  }
}
