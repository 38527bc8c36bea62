import java.util.ArrayDeque;

/** What a library of native code does with memory; the library is found by java.library.path. */
final class NativeKind extends Kind {
  static {
    System.loadLibrary("leaknative");
  }

  static native long malloc(long bytes);

  static native void free(long p);

  static native long mmap(long bytes);

  static native void munmap(long p, long bytes);

  static native long mremap(long p, long from, long to);

  /** Moves the end of the heap, where nobody else has moved it since; 0 if somebody has. */
  static native long sbrk(long delta);

  /** A parked thread with a stack of 8 MiB. */
  static native long pthread();

  /** Ends it. */
  static native void join(long thread);

  private interface Action {
    void step(NativeKind k, long n);
  }

  private final Action action;
  private final ArrayDeque<Long> fresh = new ArrayDeque<>();
  private long grown;
  private long grownBytes;

  private NativeKind(boolean control, long periodMillis, String categories, Action action) {
    super(control, periodMillis, categories);
    this.action = action;
  }

  static Kind of(String name, boolean control) {
    switch (name) {
      case "jni-malloc": return new NativeKind(control, 400, "malloc-chunk", NativeKind::blocks);
      case "jni-mmap": return new NativeKind(control, 400, "jni-mmap", NativeKind::maps);
      case "jni-partial": return new NativeKind(control, 500, "jni-mmap", NativeKind::halves);
      case "jni-mremap": return new NativeKind(control, 400, "jni-mmap", NativeKind::grows);
      case "jni-sbrk": return new NativeKind(control, 400, "brk-heap", NativeKind::breaks);
      case "pthread": return new NativeKind(control, 500, "thread-stack", NativeKind::threads);
      default: throw new IllegalArgumentException("no such kind: " + name);
    }
  }

  @Override
  void step(long n) {
    action.step(this, n);
  }

  private void blocks(long n) {
    long p = malloc(MIB);
    if (control) {
      free(p);
    } else {
      leaked.add(mapped(MIB));
    }
  }

  private void maps(long n) {
    long p = mmap(MIB);
    if (control) {
      munmap(p, MIB);
    } else {
      leaked.add(MIB);
    }
  }

  /** The middle is given back; the control gives back the rest later. */
  private void halves(long n) {
    long p = mmap(4 * MIB);
    munmap(p + MIB, 2 * MIB);
    if (!control) {
      leaked.add(2 * MIB);
      return;
    }
    fresh.add(p);
    if (fresh.size() > 4) {
      p = fresh.poll();
      munmap(p, MIB);
      munmap(p + 3 * MIB, MIB);
    }
  }

  private void grows(long n) {
    if (grown == 0) {
      grown = mmap(MIB);
      grownBytes = MIB;
      leaked.add(control ? 0 : MIB);
      return;
    }
    long to = control && n % 4 == 3 ? MIB : grownBytes + MIB;
    grown = mremap(grown, grownBytes, to);
    leaked.add(control ? 0 : to - grownBytes);
    grownBytes = to;
  }

  private void breaks(long n) {
    if (sbrk(MIB) == 0) {
      return;
    }
    if (!control || sbrk(-MIB) == 0) {
      leaked.add(MIB);
    }
  }

  private void threads(long n) {
    long t = pthread();
    if (control) {
      join(t);
    } else {
      leaked.add(8 * MIB);
    }
  }
}
