import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** What the virtual machine itself maps for a program. */
final class VmKind {
  private VmKind() {}

  /** Threads that never end; the control's end at once. */
  static final class Threads extends Kind {
    private static final long STACK = 1 << 20;

    Threads(boolean control) {
      super(control, 250, "thread-stack");
    }

    @Override
    void step(long n) throws InterruptedException {
      Thread t = new Thread(null, () -> {
        while (!control) {
          LockSupport.park();
        }
      }, "parked-" + n, STACK);
      t.setDaemon(true);
      t.start();
      if (control) {
        t.join();
      } else {
        leaked.add(STACK);
      }
    }
  }

  /** An application that is deployed again and again; the control drops the old one, and collects. */
  static final class Classes extends Kind {
    private static final String[] APPLICATION = {
      "buffer.AbstractByteBuf", "buffer.ByteBufUtil", "buffer.CompositeByteBuf", "buffer.PooledByteBuf", "buffer.Unpooled",
      "buffer.UnpooledHeapByteBuf", "buffer.UnpooledDirectByteBuf", "buffer.PooledByteBufAllocator", "buffer.PoolArena",
      "channel.AbstractChannel", "channel.DefaultChannelPipeline", "channel.AbstractChannelHandlerContext",
      "channel.ChannelOutboundBuffer", "channel.nio.NioEventLoop", "util.internal.PlatformDependent",
      "util.HashedWheelTimer", "util.concurrent.SingleThreadEventExecutor", "util.concurrent.DefaultPromise",
    };
    private final List<ClassLoader> deployed = new ArrayList<>();
    private final List<MemoryPoolMXBean> pools = new ArrayList<>();
    private final long before;

    Classes(boolean control) {
      super(control, 300, "metaspace|class-space+malloc-arena"); // what is known of classes besides is in malloc's heaps
      for (MemoryPoolMXBean p : ManagementFactory.getMemoryPoolMXBeans()) {
        if (p.getName().equals("Metaspace")) { // the class space is counted into it
          pools.add(p);
        }
      }
      before = committed();
    }

    private long committed() {
      long sum = 0;
      for (MemoryPoolMXBean p : pools) {
        sum += p.getUsage().getCommitted();
      }
      return sum;
    }

    @Override
    void step(long n) throws ClassNotFoundException {
      if (control) {
        deployed.clear();
        if (n % 8 == 7) {
          System.gc();
        }
      }
      ClassLoader loader = new Copies(Classes.class.getClassLoader(), "io.netty.");
      for (String name : APPLICATION) {
        loader.loadClass("io.netty." + name);
      }
      deployed.add(loader);
    }

    @Override
    long leaked() {
      return control ? 0 : committed() - before;
    }
  }

  /** A heap that grows; the control's is emptied now and then, and shrinks. Neither is a leak outside the heap. */
  static final class Heap extends Kind {
    private List<byte[]> held = new ArrayList<>();

    Heap(boolean control) {
      super(control, 250, "java-heap");
    }

    @Override
    void step(long n) {
      held.add(new byte[(int) MIB - 16]);
      if (control && n % 40 == 39) {
        held = new ArrayList<>();
        System.gc();
      }
    }
  }

  /** Mapped files that are never unmapped; the control's are. Memory of files is not anonymous. */
  static final class MapFile extends Kind {
    private final Path file = Files.createTempFile("mapped", ".bin");
    private final List<MappedByteBuffer> kept = new ArrayList<>();

    MapFile(boolean control) throws IOException {
      super(control, 250, "other");
      Files.write(file, new byte[(int) MIB]);
      file.toFile().deleteOnExit();
    }

    @Override
    void step(long n) throws IOException {
      try (FileChannel c = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        MappedByteBuffer b = c.map(n % 2 == 0 ? FileChannel.MapMode.READ_WRITE : FileChannel.MapMode.PRIVATE, 0, MIB);
        b.load();
        if (control) {
          Memory.UNSAFE.invokeCleaner(b);
        } else {
          kept.add(b);
        }
      }
    }
  }
}
