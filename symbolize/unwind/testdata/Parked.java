import java.util.concurrent.locks.LockSupport;
import java.util.function.IntUnaryOperator;

/** One thread, "parked", stands still below a -> lambda -> b. */
public final class Parked {
  static int a(int n) {
    IntUnaryOperator f = m -> b(m) + 1; // line 7
    return f.applyAsInt(n) + 1; // line 8
  }

  static int b(int n) {
    if (n > 0) {
      return b(n - 1) + 1; // line 13
    }
    LockSupport.park(); // line 15
    return n;
  }

  public static void main(String[] args) throws Exception {
    Thread t = new Thread(() -> System.exit(a(3)), "parked");
    t.start();
    t.join();
  }
}
