import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;

/** Has memory segments of each kind of arena, says where they are, and dumps its own heap. For JDK 22 and later. */
public final class Segments {
  static MemorySegment kept;

  private static MemorySegment take(String what, Arena arena, int bytes) {
    MemorySegment s = arena.allocate(bytes);
    System.out.printf("%s %d %d%n", what, s.address(), bytes);
    return s;
  }

  public static void main(String[] args) throws Exception {
    kept = take("kept", Arena.ofShared(), 10_000);
    take("auto", Arena.ofAuto(), 20_000);
    take("global", Arena.global(), 30_000);
    take("unclosed", Arena.ofShared(), 40_000);
    ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class).dumpHeap(args[0], false);
  }
}
