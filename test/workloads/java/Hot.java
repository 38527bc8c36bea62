/** Loops that are worth compiling, with much to inline and unroll. */
final class Hot {
  private Hot() {}

  static double work(int rounds) {
    double[] a = new double[256];
    long h = 1;
    double sum = 0;
    for (int r = 0; r < rounds; r++) {
      for (int i = 0; i < a.length; i++) {
        a[i] = mix(i, r) + a[(i * 7 + r) & 255] * 0.5;
        h = hash(h, i, r);
      }
      sum += dot(a, r) + sort(a.clone(), r) + text(h);
    }
    return sum + h;
  }

  private static double mix(int i, int r) {
    switch ((i + r) % 5) {
      case 0: return Math.sqrt(i + 1.0);
      case 1: return Math.abs(i - r * 0.25);
      case 2: return Math.max(i, r);
      case 3: return i * r % 17;
      default: return i / (r + 1.0);
    }
  }

  private static long hash(long h, int i, int r) {
    for (int k = 0; k < 8; k++) {
      h = Long.rotateLeft(h * 0x9e3779b97f4a7c15L + i, k) ^ (r + k);
    }
    return h;
  }

  private static double dot(double[] a, int shift) {
    double s = 0;
    for (int i = 0; i < a.length; i++) {
      s += a[i] * a[(i + shift) & 255];
    }
    return s;
  }

  private static double sort(double[] a, int r) {
    for (int i = 1; i < a.length; i++) {
      double x = a[i];
      int j = i - 1;
      for (; j >= 0 && a[j] > x; j--) {
        a[j + 1] = a[j];
      }
      a[j + 1] = x;
    }
    return a[r & 255];
  }

  private static int text(long h) {
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < 16; i++) {
      b.append((char) ('a' + (h >>> i * 4 & 15))).append(i).append(',');
    }
    return b.toString().hashCode();
  }
}
