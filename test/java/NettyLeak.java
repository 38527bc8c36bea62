import com.sun.management.OperatingSystemMXBean;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.FixedLengthFrameDecoder;
import io.netty.util.concurrent.FastThreadLocalThread;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/**
 * An echo server on Netty 4.1 whose handler keeps buffers that it should have released.
 *
 * <pre>
 * NETTY=$(echo /usr/share/java/netty-*.jar | tr ' ' ':')
 * javac -d OUT -cp "$NETTY" NettyLeak.java NettyLoad.java
 * java -cp "OUT:$NETTY" NettyLeak [--port P] [--workers N] [--size B] [--leak-every N]
 *      [--leak-bytes B] [--no-leak] [--warm-burst N] [--stats-every SECONDS]
 *
 * --leak-every N   every Nth message leaves a buffer of --leak-bytes behind (default 4, 64 KiB):
 *                  at 400 messages a second a chunk of 16 MiB fills in about 2.5 s
 * --no-leak        keeps nothing: the first chunk of each arena stays mapped all the same
 * --warm-burst N   before "ready" each worker maps and frees its share of N blocks of 16 MiB, twice:
 *                  from then on malloc serves chunks from its arenas, with mprotect instead of mmap
 * </pre>
 *
 * Set MALLOC_MMAP_THRESHOLD_=131072 where every chunk must be one mmap of 16,781,312 bytes, and on
 * JDK 17 -Dio.netty.tryReflectionSetAccessible=true --add-opens java.base/java.nio=ALL-UNNAMED.
 *
 * Prints "ready PORT", then "stats msgs=N retained=BYTES cpu_ns=N" now and then, and the same with
 * "final", after "chunks N" of those that Netty holds, when it is told to end.
 */
public final class NettyLeak {
  private static final LongAdder MESSAGES = new LongAdder();
  private static final LongAdder RETAINED = new LongAdder();
  private static final Queue<ByteBuf> KEPT = new ConcurrentLinkedQueue<>();
  private static final int CHUNK = 16 << 20;

  private static int port = 0;
  private static int workers = 4;
  private static int size = 4096;
  private static int leakEvery = 4;
  private static int leakBytes = 64 << 10;
  private static int warmBurst = 0;
  private static double statsEvery = 1;

  private NettyLeak() {}

  /** Echoes each message, and keeps a buffer now and then. One to a connection. */
  private static final class Echo extends ChannelInboundHandlerAdapter {
    private int sinceKept;

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      MESSAGES.increment();
      if (leakEvery > 0 && ++sinceKept >= leakEvery) {
        sinceKept = 0;
        ByteBuf kept = ctx.alloc().directBuffer(leakBytes, leakBytes);
        kept.writeBytes((ByteBuf) message, 0, Math.min(((ByteBuf) message).readableBytes(), leakBytes));
        KEPT.add(kept);
        RETAINED.add(leakBytes);
      }
      ctx.write(message);
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
      ctx.flush();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      System.err.println("connection ended: " + cause);
      ctx.close();
    }
  }

  /** Threads named PREFIX1, PREFIX2, ... exactly. */
  private static ThreadFactory named(String prefix) {
    AtomicInteger count = new AtomicInteger();
    return run -> new FastThreadLocalThread(run, prefix + count.incrementAndGet());
  }

  /** Raises malloc's threshold, and leaves memory in its arenas that is still committed. */
  private static void burst(int blocks) {
    for (int pass = 0; pass < 2; pass++) {
      List<ByteBuf> all = new ArrayList<>();
      for (int i = 0; i < blocks; i++) {
        all.add(Unpooled.directBuffer(CHUNK, CHUNK));
      }
      all.forEach(ByteBuf::release);
    }
  }

  private static String counters(String word) {
    OperatingSystemMXBean os =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return word + " msgs=" + MESSAGES.sum() + " retained=" + RETAINED.sum()
        + " cpu_ns=" + os.getProcessCpuTime();
  }

  private static void parse(String[] args) {
    for (int i = 0; i < args.length; i++) {
      if (args[i].equals("--no-leak")) {
        leakEvery = 0;
        continue;
      }
      if (i + 1 == args.length) {
        throw new IllegalArgumentException("no value for " + args[i]);
      }
      String value = args[i + 1];
      switch (args[i++]) {
        case "--port": port = Integer.parseInt(value); break;
        case "--workers": workers = Integer.parseInt(value); break;
        case "--size": size = Integer.parseInt(value); break;
        case "--leak-every": leakEvery = Integer.parseInt(value); break;
        case "--leak-bytes": leakBytes = Integer.parseInt(value); break;
        case "--warm-burst": warmBurst = Integer.parseInt(value); break;
        case "--stats-every": statsEvery = Double.parseDouble(value); break;
        default: throw new IllegalArgumentException("no such option: " + args[i - 1]);
      }
    }
  }

  public static void main(String[] args) throws Exception {
    parse(args);
    // Before the first class of Netty is loaded. Newer ones have chunks of 4 MiB by default.
    System.getProperties().putIfAbsent("io.netty.allocator.maxOrder", "11");
    System.getProperties().putIfAbsent("io.netty.leakDetection.level", "disabled");
    System.getProperties().putIfAbsent("io.netty.allocator.numDirectArenas", "" + workers);

    EventLoopGroup boss = new NioEventLoopGroup(1, named("BossPetalGroup-8-"));
    EventLoopGroup worker = new NioEventLoopGroup(workers, named("WorkerPetalGroup-9-"));
    List<Future<?>> bursts = new ArrayList<>();
    for (int i = 0; i < workers; i++) {
      // next() goes round, so this starts every worker, in order.
      int share = warmBurst / workers + (i < warmBurst % workers ? 1 : 0);
      bursts.add(worker.next().submit(() -> burst(share)));
    }
    for (Future<?> f : bursts) {
      f.get();
    }
    Channel server = new ServerBootstrap()
        .group(boss, worker)
        .channel(NioServerSocketChannel.class)
        .childOption(ChannelOption.ALLOCATOR, PooledByteBufAllocator.DEFAULT)
        .childOption(ChannelOption.TCP_NODELAY, true)
        .childHandler(new ChannelInitializer<SocketChannel>() {
          @Override
          protected void initChannel(SocketChannel channel) {
            channel.pipeline().addLast(new FixedLengthFrameDecoder(size), new Echo());
          }
        })
        .bind(new InetSocketAddress("127.0.0.1", port)).sync().channel();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      System.out.println("chunks " + PooledByteBufAllocator.DEFAULT.metric().usedDirectMemory() / CHUNK);
      System.out.println(counters("final"));
      System.out.flush();
    }, "final"));
    System.out.println("ready " + ((InetSocketAddress) server.localAddress()).getPort());
    while (true) {
      Thread.sleep((long) (statsEvery * 1000));
      System.out.println(counters("stats"));
    }
  }
}
