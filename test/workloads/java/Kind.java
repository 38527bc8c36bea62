import java.util.concurrent.atomic.LongAdder;

/** One way to leak, or with {@code control} the same work without the leak. */
abstract class Kind {
  static final long MIB = 1 << 20;

  final boolean control;
  final long periodMillis;
  final String categories; // what the memory is for: any of these, split by |, and + what comes along
  final LongAdder leaked = new LongAdder();

  Kind(boolean control, long periodMillis, String categories) {
    this.control = control;
    this.periodMillis = periodMillis;
    this.categories = categories;
  }

  /** Runs once each period, from 0. */
  abstract void step(long n) throws Exception;

  /** What has been got and will never be given back. */
  long leaked() {
    return leaked.sum();
  }

  /** The bytes of the mapping that malloc makes for a block above its threshold. */
  static long mapped(long bytes) {
    return (bytes + 16 + 4095) & -4096;
  }

  /** The thread that leaks. */
  String thread(String name) {
    return "leak-" + name + "-1";
  }
}
