import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed load for NettyLeak, on this host only: --rate messages a second over --conns
 * connections, whatever the answers do. Each is a mail that says in three forms when it was sent,
 * behind a header of four big-endian numbers. Every byte that comes back is checked.
 *
 * <pre>
 * java -cp OUT NettyLoad --port P [--rate 400] [--conns 4] [--size 4096] [--seconds 20]
 * </pre>
 *
 * Prints "sent N received N lost N bad N p50_us N p99_us N max_us N"; exits 1 when any was lost or bad.
 */
public final class NettyLoad {
  private static final LongAdder SENT = new LongAdder();
  private static final LongAdder RECEIVED = new LongAdder();
  private static final LongAdder BAD = new LongAdder();
  private static final int GRACE_MS = 5000;
  private static final int HEADER = 32; // connection, number, time of sending by both clocks
  private static final DateTimeFormatter DATE =
      DateTimeFormatter.ofPattern("EEE, dd MMM yyyy HH:mm:ss Z", Locale.ROOT).withZone(ZoneOffset.UTC);

  private static int port;
  private static double rate = 400;
  private static int conns = 4;
  private static int size = 4096;
  private static double seconds = 20;

  private NettyLoad() {}

  /** One connection: a thread that sends by the clock, and one that reads. */
  private static final class Connection {
    final long id;
    final long count;
    final long[] latency;
    final Socket socket;
    volatile long read;

    Connection(long id) throws IOException {
      this.id = id;
      count = (long) (rate * seconds / conns);
      latency = new long[(int) count];
      socket = new Socket(InetAddress.getByName("127.0.0.1"), port);
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(GRACE_MS + (int) (conns * 1000 / rate));
    }

    /** The bytes after the header follow from it: a mail, its body repeated. */
    void fill(ByteBuffer b, long number, long sentMillis) {
      String from = "petal-" + id + "@flowers.example";
      String head = "Received: from flowers.example by mail.example; "
          + DATE.format(Instant.ofEpochMilli(sentMillis)) + "\r\n"
          + "Message-ID: <" + sentMillis + "." + number + "." + id + "@flowers.example>\r\n"
          + "From: Petal <" + from + ">\r\n"
          + "To: orders@mail.example\r\n"
          + "Subject: Order " + number + " of roses\r\n"
          + "X-Sent: " + sentMillis / 1000 + "\r\n\r\n";
      b.position(HEADER);
      put(b, head);
      for (int line = 1; b.hasRemaining(); line++) {
        put(b, line + ". Please send a dozen red roses to the address that we gave you last time.\r\n");
      }
    }

    private void put(ByteBuffer b, String text) {
      byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
      b.put(bytes, 0, Math.min(bytes.length, b.remaining()));
    }

    void send(long start) {
      ByteBuffer b = ByteBuffer.allocate(size);
      double step = 1e9 * conns / rate;
      try {
        OutputStream out = socket.getOutputStream();
        for (long i = 0; i < count; i++) {
          long due = start + (long) ((i + (double) id / conns) * step);
          for (long wait; (wait = due - System.nanoTime()) > 0; ) {
            LockSupport.parkNanos(wait);
          }
          long now = System.currentTimeMillis();
          fill(b, i, now);
          b.putLong(0, id).putLong(8, i).putLong(16, System.nanoTime()).putLong(24, now);
          out.write(b.array());
          SENT.increment();
        }
      } catch (IOException e) {
        System.err.println("connection " + id + " cannot send: " + e);
      }
    }

    void receive() {
      ByteBuffer got = ByteBuffer.allocate(size);
      ByteBuffer want = ByteBuffer.allocate(size);
      try {
        DataInputStream in = new DataInputStream(socket.getInputStream());
        for (long i = 0; i < count; i++) {
          in.readFully(got.array());
          latency[(int) i] = System.nanoTime() - got.getLong(16);
          read = i + 1;
          fill(want, i, got.getLong(24));
          want.putLong(0, id).putLong(8, i).putLong(16, got.getLong(16)).putLong(24, got.getLong(24));
          if (Arrays.equals(got.array(), want.array())) {
            RECEIVED.increment();
          } else {
            BAD.increment();
          }
        }
      } catch (SocketTimeoutException e) {
        System.err.println("connection " + id + ": no answer in time");
      } catch (IOException e) {
        System.err.println("connection " + id + " cannot receive: " + e);
      }
    }
  }

  private static void parse(String[] args) {
    for (int i = 0; i + 1 < args.length; i += 2) {
      String value = args[i + 1];
      switch (args[i]) {
        case "--port": port = Integer.parseInt(value); break;
        case "--rate": rate = Double.parseDouble(value); break;
        case "--conns": conns = Integer.parseInt(value); break;
        case "--size": size = Integer.parseInt(value); break;
        case "--seconds": seconds = Double.parseDouble(value); break;
        default: throw new IllegalArgumentException("no such option: " + args[i]);
      }
    }
    if (port == 0 || size < HEADER || args.length % 2 != 0) {
      throw new IllegalArgumentException("needs --port P, a --size of 32 or more, and values for all options");
    }
  }

  public static void main(String[] args) throws Exception {
    parse(args);
    List<Connection> all = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < conns; i++) {
      all.add(new Connection(i));
    }
    long start = System.nanoTime();
    for (Connection c : all) {
      threads.add(new Thread(() -> c.send(start), "send-" + c.id));
      threads.add(new Thread(c::receive, "receive-" + c.id));
    }
    threads.forEach(Thread::start);
    for (Thread t : threads) {
      t.join();
    }
    long[] latency = all.stream()
        .flatMapToLong(c -> Arrays.stream(c.latency, 0, (int) c.read)).sorted().toArray();
    long lost = SENT.sum() - RECEIVED.sum() - BAD.sum();
    System.out.printf("sent %d received %d lost %d bad %d p50_us %d p99_us %d max_us %d%n",
        SENT.sum(), RECEIVED.sum(), lost, BAD.sum(),
        at(latency, 0.5), at(latency, 0.99), at(latency, 1));
    System.exit(lost == 0 && BAD.sum() == 0 ? 0 : 1);
  }

  private static long at(long[] sorted, double share) {
    return sorted.length == 0 ? 0 : sorted[(int) (share * (sorted.length - 1))] / 1000;
  }
}
