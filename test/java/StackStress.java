import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.lang.StackWalker.Option;
import java.lang.StackWalker.StackFrame;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import sun.misc.Unsafe;

/**
 * Allocates off-heap blocks out of every kind of Java stack, and says for each block which stack
 * it was: the JVM's own account of it is what a tracer's must be equal to.
 *
 * <pre>
 * java -cp OUT StackStress [seconds=10] [rate=100] [run=stream,lambda,...|virtual|real]
 *                          [max=100000]
 *                          [parks=1,5] [depths=3,20,100,400] [gc=1] [linger=0]
 * </pre>
 *
 * Waits for a line on stdin, then each scenario runs on threads named "st-SCENARIO", together
 * rate blocks a second. Block number N is 33 MiB and N pages long, so that each is an mmap that can be
 * told from every other. It prints "ready SCENARIO..." first, then
 *
 * <pre>
 * chain ID FRAME FRAME ...     a stack, innermost frame first, from StackStress.block on;
 *                              FRAME is class.method|descriptor|line, hidden frames included
 * block N ID THREAD            block N was allocated by that stack
 * end COUNT
 * </pre>
 */
public final class StackStress {
  static final long BASE = 33L << 20;
  static final long PAGE = 4096;
  static final Unsafe UNSAFE = unsafe();

  private static final StackWalker WALKER =
      StackWalker.getInstance(Set.of(Option.SHOW_HIDDEN_FRAMES, Option.RETAIN_CLASS_REFERENCE));
  private static final PrintWriter OUT =
      new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out), 1 << 16));
  private static final Map<String, Integer> CHAINS = new HashMap<>();
  private static final AtomicInteger NUMBER = new AtomicInteger();

  /** Keeps values alive, also those of classes that other loaders define. */
  public static volatile Object sink;

  static int max = 100_000;
  static volatile boolean stopped;

  private StackStress() {}

  /** One way to come to an allocation. A number below 0 is a rehearsal that allocates nothing. */
  public interface Scenario {
    void call(int number) throws Throwable;
  }

  private static Unsafe unsafe() {
    try {
      Field f = Unsafe.class.getDeclaredField("theUnsafe");
      f.setAccessible(true);
      return (Unsafe) f.get(null);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /** Allocates block number, and tells its stack afterwards, so that telling it changes nothing. */
  public static void block(int number) {
    if (number < 0) {
      return;
    }
    UNSAFE.freeMemory(UNSAFE.allocateMemory(BASE + number * PAGE));
    String chain = WALKER.walk(s -> s.map(StackStress::frame).collect(Collectors.joining(" ")));
    chain = chain.substring(chain.indexOf("StackStress.block|"));
    tell(number, chain);
    StackVirtual.linger();
  }

  static String frame(StackFrame f) {
    return f.getClassName() + "." + f.getMethodName() + "|" + f.getDescriptor() + "|" + f.getLineNumber();
  }

  private static synchronized void tell(int number, String chain) {
    Integer id = CHAINS.get(chain);
    if (id == null) {
      id = CHAINS.size();
      CHAINS.put(chain, id);
      OUT.println("chain " + id + " " + chain);
    }
    OUT.println("block " + number + " " + id + " " + Thread.currentThread().getName());
  }

  /** The next block's number, or -1 when there are enough. */
  static int next() {
    int n = stopped ? -1 : NUMBER.getAndIncrement();
    return n < max ? n : -1;
  }

  /** Calls it with rehearsals between, so that it is interpreted first and compiled in the end. */
  static void repeat(Scenario s, long intervalNanos, int rehearsals) {
    try {
      for (long due = System.nanoTime(); !stopped; ) {
        s.call(next());
        due = Math.max(due + intervalNanos, System.nanoTime()); // late blocks are not made up for
        for (int i = 0; i < rehearsals && System.nanoTime() < due; i++) {
          s.call(-1);
        }
        while (!stopped && System.nanoTime() < due) {
          LockSupport.parkNanos(Math.min(due - System.nanoTime(), 20_000_000));
        }
      }
    } catch (Throwable e) {
      e.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
  }

  /** Adds the scenarios of StackForeign, which only later JDKs can compile: where it is on the class path. */
  private static void addForeign(Map<String, Scenario> all) throws ReflectiveOperationException {
    Class<?> c;
    try {
      c = Class.forName("StackForeign");
    } catch (ClassNotFoundException e) {
      return;
    }
    c.getMethod("add", Map.class).invoke(null, all);
  }

  static byte[] bytecode(Class<?> c) {
    try (InputStream in = StackStress.class.getResourceAsStream(c.getName() + ".class")) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static int[] numbers(String list) {
    String[] words = list.split(",");
    int[] n = new int[words.length];
    for (int i = 0; i < n.length; i++) {
      n[i] = Integer.parseInt(words[i]);
    }
    return n;
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> options = new LinkedHashMap<>();
    for (String a : args) {
      String[] pair = a.split("=", 2);
      options.put(pair[0], pair[1]);
    }
    int seconds = Integer.parseInt(options.getOrDefault("seconds", "10"));
    int rate = Integer.parseInt(options.getOrDefault("rate", "100"));
    max = Integer.parseInt(options.getOrDefault("max", "100000"));
    Map<String, Scenario> all = new LinkedHashMap<>();
    StackScenarios.add(all);
    StackClasses.add(all);
    StackVirtual.add(all, options);
    addForeign(all);
    String run = options.getOrDefault("run", "all");
    boolean real = run.equals("real");
    if (real || run.equals("virtual")) {
      all.keySet().removeIf(name -> name.startsWith("virtual-") == real);
    } else if (!run.equals("all")) {
      all.keySet().retainAll(List.of(run.split(",")));
    }
    System.out.println("ready " + String.join(" ", all.keySet()));
    if (System.in.read() < 0) {
      return;
    }
    long interval = 1_000_000_000L * all.size() / rate;
    List<Thread> threads = new ArrayList<>();
    all.forEach(
        (name, s) -> {
          // What is slow, or takes its time on purpose, is not rehearsed.
          int rehearsals = s instanceof Slow ? 0 : 50;
          Thread t = new Thread(() -> repeat(s, interval, rehearsals), "st-" + name);
          threads.add(t);
          t.start();
        });
    Thread.sleep(seconds * 1000L);
    stopped = true;
    for (Thread t : threads) {
      t.join();
    }
    synchronized (StackStress.class) {
      OUT.println("end " + Math.min(NUMBER.get(), max));
      OUT.flush();
    }
    System.exit(0);
  }

  /** A scenario that is never rehearsed. */
  interface Slow extends Scenario {}

  /** Calls a method by reflection, whatever JDK compiled us; null when this JDK has none such. */
  static Method find(Class<?> c, String name, Class<?>... types) {
    try {
      return c.getMethod(name, types);
    } catch (NoSuchMethodException e) {
      return null;
    }
  }
}
