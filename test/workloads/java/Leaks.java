import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.concurrent.locks.LockSupport;

/**
 * Leaks memory in one of many ways, and tells the truth about it.
 *
 * <pre>
 * java -cp OUT Leaks KIND [--control]
 * </pre>
 *
 * Prints "ready", waits for the line "go", then leaks at a steady pace until the line "stop" or the end of stdin. Each
 * second, and at the end with "final", it prints what it knows:
 *
 * <pre>
 * truth kind=unsafe control=false at_ms=1700000000000 leaked=1052672 per_hour=7578000000 thread=leak-unsafe-1 category=direct-buffer limit=0
 * </pre>
 */
public final class Leaks {
  private Leaks() {}

  private static volatile long startNanos;
  private static volatile boolean stopped;

  private static Kind kind(String name, boolean control) throws Exception {
    switch (name) {
      case "direct-large": return new DirectKind(control, 1000, 33 * Kind.MIB, 1);
      case "direct-small": return new DirectKind(control, 25, 64 << 10, 1);
      case "direct-retained": return new DirectKind.Dropped(control);
      case "direct-cleaned": return new DirectKind(control, 250, 4 * Kind.MIB, 4);
      case "unsafe": return new BlockKind(control, 400, 1);
      case "unsafe-slow": return new BlockKind(control, 6000, 1);
      case "handoff": return new BlockKind.HandOver(control);
      case "short": return new BlockKind.ShortLived(control);
      case "cache": return new BlockKind.Cache(control);
      case "staircase": return new BlockKind.Staircase(control);
      case "sawtooth": return new BlockKind.Sawtooth(control);
      case "jit": return new JitKind(control);
      case "deflater": return new ZipKind.Deflate(control);
      case "inflater": return new ZipKind.Inflate(control);
      case "gzip": return new ZipKind.Gzip(control);
      case "threads": return new VmKind.Threads(control);
      case "classes": return new VmKind.Classes(control);
      case "heap": return new VmKind.Heap(control);
      case "mapfile": return new VmKind.MapFile(control);
      case "ffm": return (Kind) Class.forName("FfmKind").getDeclaredConstructor(boolean.class).newInstance(control);
      default: return NativeKind.of(name, control);
    }
  }

  /** -XX:MaxDirectMemorySize in bytes, 0 without. */
  private static long directLimit() {
    for (String arg : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (arg.startsWith("-XX:MaxDirectMemorySize=") && arg.endsWith("m")) {
        return Long.parseLong(arg.substring(arg.indexOf('=') + 1, arg.length() - 1)) << 20;
      }
    }
    return 0;
  }

  private static String truth(String word, String name, Kind k) {
    long leaked = k.leaked();
    long nanos = Math.max(System.nanoTime() - startNanos, 1);
    return word + " kind=" + name + " control=" + k.control + " at_ms=" + System.currentTimeMillis()
        + " leaked=" + leaked + " per_hour=" + (long) (leaked * 3600e9 / nanos)
        + " thread=" + k.thread(name) + " category=" + k.categories + " limit=" + directLimit();
  }

  private static void run(Kind k) {
    try {
      for (long n = 0; !stopped; n++) {
        long due = startNanos + n * k.periodMillis * 1_000_000;
        for (long wait; (wait = due - System.nanoTime()) > 0 && !stopped; ) {
          LockSupport.parkNanos(wait);
        }
        k.step(n);
      }
    } catch (Throwable e) {
      e.printStackTrace();
      System.exit(3);
    }
  }

  public static void main(String[] args) throws Exception {
    String name = args[0];
    boolean control = args.length > 1 && args[1].equals("--control");
    Kind k = kind(name, control);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    System.out.println("ready");
    for (String line; (line = in.readLine()) != null && !line.equals("go"); ) {
      System.err.println("waiting for go, not for " + line);
    }
    startNanos = System.nanoTime();
    System.out.println(truth("truth", name, k));
    Thread leaker = new Thread(() -> run(k), k.thread(name));
    leaker.start();
    Thread teller = new Thread(() -> {
      while (!stopped) {
        LockSupport.parkNanos(1_000_000_000L);
        System.out.println(truth("truth", name, k));
      }
    }, "teller");
    teller.setDaemon(true);
    teller.start();
    for (String line; (line = in.readLine()) != null && !line.equals("stop"); ) {
      System.err.println("waiting for stop, not for " + line);
    }
    System.out.println(truth("final", name, k));
    System.exit(0);
  }
}
