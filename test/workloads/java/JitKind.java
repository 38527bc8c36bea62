import java.lang.reflect.Method;

/** Keeps the compilers busy with fresh copies of the same code; the leak leaks beside it. */
final class JitKind extends Kind {
  private Object sink;

  JitKind(boolean control) {
    super(control, 500, "direct-buffer");
  }

  @Override
  void step(long n) throws Exception {
    Class<?> c = new Copies(JitKind.class.getClassLoader(), "Hot").loadClass("Hot");
    Method m = c.getDeclaredMethod("work", int.class);
    m.setAccessible(true);
    sink = m.invoke(null, 60);
    if (n % 8 == 7) {
      System.gc();
    }
    if (!control) {
      Memory.get(MIB);
      leaked.add(mapped(MIB));
    }
  }
}
