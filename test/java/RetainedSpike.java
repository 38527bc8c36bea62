import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Deflater;
import sun.misc.Unsafe;

/**
 * A spike of native memory that is over: all of it is freed but for a few blocks, which pin the heaps of malloc.
 *
 * <pre>
 * java -cp OUT RetainedSpike unsafe|deflater threads blocks [most=60000]
 * </pre>
 *
 * Each thread takes so many blocks, below the size from which malloc maps them by themselves, and frees all but each
 * ninth. It prints "ready", and does nothing any more until its stdin ends.
 */
public final class RetainedSpike {
  private static final int PIN = 9;

  private RetainedSpike() {}

  private static Unsafe unsafe() throws ReflectiveOperationException {
    Field f = Unsafe.class.getDeclaredField("theUnsafe");
    f.setAccessible(true);
    return (Unsafe) f.get(null);
  }

  private static void blocks(int seed, int count, int most) throws ReflectiveOperationException {
    Unsafe unsafe = unsafe();
    SplittableRandom random = new SplittableRandom(seed);
    long[] all = new long[count];
    for (int i = 0; i < count; i++) {
      long size = 1000 + random.nextInt(most);
      all[i] = unsafe.allocateMemory(size);
      unsafe.setMemory(all[i], size, (byte) 7);
    }
    for (int i = 0; i < count; i++) {
      if (i % PIN != 0) {
        unsafe.freeMemory(all[i]);
      }
    }
  }

  private static List<Deflater> deflaters(int count) {
    List<Deflater> all = new ArrayList<>();
    byte[] in = new byte[50_000];
    byte[] out = new byte[60_000];
    for (int i = 0; i < count; i++) {
      Deflater d = new Deflater();
      d.setInput(in);
      d.finish();
      d.deflate(out);
      all.add(d);
    }
    List<Deflater> pins = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (i % PIN == 0) {
        pins.add(all.get(i));
      } else {
        all.get(i).end();
      }
    }
    return pins;
  }

  /** Runs the spike on many threads, which live on, and waits. */
  public static void main(String[] args) throws Exception {
    int threads = Integer.parseInt(args[1]);
    int count = Integer.parseInt(args[2]);
    int most = args.length > 3 ? Integer.parseInt(args[3]) : 60_000;
    CountDownLatch over = new CountDownLatch(threads);
    List<Object> held = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      int seed = t;
      Thread thread =
          new Thread(
              () -> {
                try {
                  if (args[0].equals("unsafe")) {
                    blocks(seed, count, most);
                  } else {
                    List<Deflater> pins = deflaters(count);
                    synchronized (held) {
                      held.add(pins);
                    }
                  }
                  over.countDown();
                  Thread.sleep(Long.MAX_VALUE);
                } catch (InterruptedException | ReflectiveOperationException e) {
                  throw new IllegalStateException(e);
                }
              },
              "spike-" + t);
      thread.setDaemon(true);
      thread.start();
    }
    over.await();
    System.out.println("ready");
    while (System.in.read() >= 0) {
      continue;
    }
    System.out.println(held.size());
  }
}
