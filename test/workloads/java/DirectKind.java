import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/** Direct byte buffers, each {@code every}th of which is kept for ever, and the others given back. */
final class DirectKind extends Kind {
  private final int size;
  private final int every;
  private final List<ByteBuffer> kept = new ArrayList<>();
  private final ArrayDeque<ByteBuffer> fresh = new ArrayDeque<>();

  DirectKind(boolean control, long periodMillis, long size, int every) {
    super(control, periodMillis, size >= MIB ? "direct-buffer" : "direct-buffer|malloc-arena");
    this.size = (int) size;
    this.every = every;
  }

  @Override
  void step(long n) {
    ByteBuffer b = ByteBuffer.allocateDirect(size);
    if (!control && n % every == 0) {
      kept.add(b);
      leaked.add(size >= MIB ? mapped(size) : size);
      return;
    }
    fresh.add(b);
    if (fresh.size() > 4) {
      Memory.UNSAFE.invokeCleaner(fresh.poll());
    }
  }

  /** Buffers that nobody closes: those that are kept leak, those that are dropped are cleaned after a collection. */
  static final class Dropped extends Kind {
    private final List<ByteBuffer> kept = new ArrayList<>();

    Dropped(boolean control) {
      super(control, 500, "direct-buffer");
    }

    @Override
    void step(long n) {
      ByteBuffer b = ByteBuffer.allocateDirect((int) (4 * MIB));
      if (!control) {
        kept.add(b);
        leaked.add(mapped(4 * MIB));
      } else if (n % 8 == 7) {
        System.gc();
      }
    }
  }
}
