import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Runs until the compilers have much to do, then says READY and sleeps. */
public class Busy {
	interface Shape { double area(); }
	static final class Square implements Shape { double a = 2; public double area() { return a * a; } }
	static final class Circle implements Shape { double r = 3; public double area() { return 3 * r * r; } }
	static final class Line implements Shape { public double area() { return 0; } }

	static volatile double sink;

	static int level1(int n) { return level2(n) + 1; }

	static int level2(int n) {
		return level3(n)
			+ 1;
	}

	static int level3(int n) { return Integer.toString(n).length(); }

	static double shapes(Shape[] all) {
		double sum = 0;
		for (Shape s : all) {
			sum += s.area();
		}
		return sum;
	}

	/** The signature is the point. */
	static long wide(byte b, char c, double d, float f, long[] j, short s, boolean z, String[][] x, Map<String, List<Integer>> m) {
		return b + c + (long) d + (long) f + j.length + s + (z ? 1 : 0) + x.length + m.size();
	}

	/** A name beyond ASCII, and one beyond 16 bits. */
	static int größe𝒳(int n) { return n * 31; }

	static synchronized int locked(int n) { return n + 1; }

	public static void main(String[] args) throws Exception {
		Shape[] all = {new Square(), new Circle(), new Line()};
		IntUnaryOperator twice = n -> level1(n) * 2;
		Map<String, List<Integer>> m = new HashMap<>();
		long end = System.nanoTime() + Long.parseLong(args[0]) * 1_000_000;
		for (int i = 0; System.nanoTime() < end; i++) {
			m.computeIfAbsent("key" + i % 100, k -> new ArrayList<>()).add(i);
			if (i % 1000 == 0) {
				m.clear();
			}
			sink += twice.applyAsInt(i) + shapes(all) + größe𝒳(i) + locked(i);
			sink += wide((byte) 1, 'c', 2, 3, new long[1], (short) 4, true, new String[2][], m);
			if (i % 100 == 0) {
				sink += IntStream.range(0, 50).boxed().collect(Collectors.groupingBy(n -> n % 3)).size();
				sink += String.format("%d %s", i, "x").length();
			}
		}
		Thread.sleep(300); // for the compilers to come to an end
		System.out.println("READY");
		Thread.sleep(3_600_000);
	}
}
