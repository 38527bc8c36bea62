import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.lang.reflect.Constructor;

/**
 * Makes classes Gen0000 to Gen9999 out of a template, has their methods compiled, and lets them be unloaded: their memory is
 * used again for the next ones, of exactly the same size. Gen1234 has the method m1234 and no other number.
 */
public class Churn {
	static final class Loader extends ClassLoader {
		Class<?> define(String name, byte[] bytes) { return defineClass(name, bytes, 0, bytes.length); }
	}

	static byte[] template() throws Exception {
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		try (InputStream in = Churn.class.getResourceAsStream("Gen0000.class")) {
			for (int b; (b = in.read()) >= 0; ) {
				out.write(b);
			}
		}
		return out.toByteArray();
	}

	public static void main(String[] args) throws Exception {
		byte[] template = template();
		System.out.println("READY");
		for (int n = 1; ; n = n % 9999 + 1) {
			String number = String.format("%04d", n);
			byte[] bytes = template.clone();
			for (int i = 0; i + 4 <= bytes.length; i++) {
				if (bytes[i] == '0' && bytes[i + 1] == '0' && bytes[i + 2] == '0' && bytes[i + 3] == '0') {
					for (int j = 0; j < 4; j++) {
						bytes[i + j] = (byte) number.charAt(j);
					}
				}
			}
			Constructor<?> constructor = new Loader().define("Gen" + number, bytes).getDeclaredConstructor();
			constructor.setAccessible(true);
			Runnable gen = (Runnable) constructor.newInstance();
			for (int i = 0; i < 3000; i++) {
				gen.run();
			}
			if (n % 40 == 0) {
				System.gc();
			}
		}
	}
}

class Gen0000 implements Runnable {
	static int count;

	public void run() {
		count += m0000(count);
	}

	static int m0000(int n) {
		return n % 7 == 3 ? Integer.bitCount(n) : 1;
	}
}
