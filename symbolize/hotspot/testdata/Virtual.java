import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/** Virtual threads that stay mounted: each prints its carrier's native id, its own id and its name, and reads a pipe. */
public class Virtual {
    public static void main(String[] args) throws Exception {
        for (String name : args) {
            CountDownLatch said = new CountDownLatch(1);
            Runnable task = () -> {
                try (FileInputStream in = new FileInputStream("/proc/self/fd/0")) {
                    String tid = Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName().toString();
                    Thread self = Thread.currentThread();
                    System.out.println("V " + tid + " " + self.threadId() + " " + self.getName());
                    said.countDown();
                    in.read();
                } catch (java.io.IOException e) {
                    throw new IllegalStateException(e);
                }
            };
            if (name.isEmpty()) {
                Thread.startVirtualThread(task);
            } else {
                Thread.ofVirtual().name(name).start(task);
            }
            said.await();
        }
        System.out.println("ready");
        Thread.sleep(600_000);
    }
}
