import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;

/** Blocks of raw memory, one a period. The control gives each back after four more. */
class BlockKind extends Kind {
  final long size;
  final List<Long> kept = new ArrayList<>();
  final ArrayDeque<Long> fresh = new ArrayDeque<>();

  BlockKind(boolean control, long periodMillis, long mib) {
    super(control, periodMillis, "direct-buffer");
    size = mib * MIB;
  }

  @Override
  void step(long n) throws Exception {
    long p = Memory.get(size);
    if (!control) {
      keep(p);
      return;
    }
    fresh.add(p);
    if (fresh.size() > 4) {
      Memory.free(fresh.poll());
    }
  }

  void keep(long p) {
    kept.add(p);
    leaked.add(mapped(size));
  }

  /** One thread allocates, another frees: of the leak only every second one. */
  static final class HandOver extends BlockKind {
    private final LinkedBlockingQueue<Long> queue = new LinkedBlockingQueue<>();

    HandOver(boolean control) {
      super(control, 250, 1);
      Thread t = new Thread(() -> {
        try {
          for (;;) {
            Memory.free(queue.take());
          }
        } catch (InterruptedException e) {
          throw new IllegalStateException(e);
        }
      }, "freer-1");
      t.setDaemon(true);
      t.start();
    }

    @Override
    void step(long n) {
      long p = Memory.get(size);
      if (control || n % 2 == 0) {
        queue.add(p);
      } else {
        keep(p);
      }
    }
  }

  /** Each block is got by a thread of its own, which ends at once. */
  static final class ShortLived extends BlockKind {
    ShortLived(boolean control) {
      super(control, 500, 1);
    }

    @Override
    void step(long n) throws Exception {
      Thread t = new Thread(() -> {
        long p = Memory.get(size);
        if (control) {
          Memory.free(p);
        } else {
          keep(p);
        }
      }, "short-" + n);
      t.start();
      t.join();
    }

    @Override
    String thread(String name) {
      return "short-1";
    }
  }

  /** The control fills 64 blocks in 8 s, and from then on replaces the oldest. */
  static final class Cache extends BlockKind {
    Cache(boolean control) {
      super(control, 125, 1);
    }

    @Override
    void step(long n) {
      long p = Memory.get(size);
      if (!control) {
        keep(p);
        return;
      }
      fresh.add(p);
      if (fresh.size() > 64) {
        Memory.free(fresh.poll());
      }
    }
  }

  /** Eight blocks at once every five seconds. The control frees the last eight before. */
  static final class Staircase extends BlockKind {
    Staircase(boolean control) {
      super(control, 5000, 2);
    }

    @Override
    void step(long n) {
      while (!fresh.isEmpty()) {
        Memory.free(fresh.poll());
      }
      for (int i = 0; i < 8; i++) {
        long p = Memory.get(size);
        if (control) {
          fresh.add(p);
        } else {
          keep(p);
        }
      }
    }
  }

  /** Rises for ten seconds and falls; the leak does not fall to where it was. */
  static final class Sawtooth extends BlockKind {
    private static final int TOOTH = 40;

    Sawtooth(boolean control) {
      super(control, 250, 1);
    }

    @Override
    void step(long n) {
      long p = Memory.get(size);
      if (!control && n % 5 == 4) {
        keep(p);
      } else {
        fresh.add(p);
      }
      if (n % TOOTH == TOOTH - 1) {
        while (!fresh.isEmpty()) {
          Memory.free(fresh.poll());
        }
      }
    }
  }
}
