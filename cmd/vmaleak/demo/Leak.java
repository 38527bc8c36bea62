import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** The demo's workload: the workers of one pool keep the direct buffers that they are done with. */
public class Leak {
    private static final int BLOCK = 1 << 20;

    public static void main(String[] args) throws Exception {
        for (int i = 1; i <= 4; i++) {
            new Thread(Leak::serve, "PetalWorker-1-" + i).start();
        }
        new Thread(Leak::healthy, "HealthyWorker-1").start();
    }

    /** Leaks one block per request. */
    private static void serve() {
        List<ByteBuffer> forgotten = new ArrayList<>();
        while (true) {
            forgotten.add(handle());
            pause(1000);
        }
    }

    private static ByteBuffer handle() {
        ByteBuffer b = ByteBuffer.allocateDirect(BLOCK);
        b.put(0, (byte) 1);
        return b;
    }

    /** Uses one block again and again. */
    private static void healthy() {
        ByteBuffer b = ByteBuffer.allocateDirect(4 * BLOCK);
        while (true) {
            b.clear().put(new byte[BLOCK]);
            pause(100);
        }
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
