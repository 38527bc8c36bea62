import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.Inflater;

/** Compressors whose native state is not given back while they are kept. The truth is what the heaps of malloc grow by. */
abstract class ZipKind extends Kind {
  final List<Object> kept = new ArrayList<>();
  final byte[] plain = new byte[32 << 10];
  final byte[] out = new byte[64 << 10];

  ZipKind(boolean control, long periodMillis) {
    super(control, periodMillis, "malloc-arena");
    for (int i = 0; i < plain.length; i++) {
      plain[i] = (byte) (i * 31 >> 3);
    }
  }

  static final class Deflate extends ZipKind {
    Deflate(boolean control) {
      super(control, 200);
    }

    @Override
    void step(long n) {
      Deflater d = new Deflater();
      d.setInput(plain);
      d.finish();
      d.deflate(out);
      if (control) {
        d.end();
      } else {
        kept.add(d);
        leaked.add(268 << 10);
      }
    }
  }

  static final class Inflate extends ZipKind {
    private final byte[] packed;

    Inflate(boolean control) {
      super(control, 20);
      Deflater d = new Deflater();
      d.setInput(plain);
      d.finish();
      packed = java.util.Arrays.copyOf(out, d.deflate(out));
      d.end();
    }

    @Override
    void step(long n) throws DataFormatException {
      Inflater i = new Inflater();
      i.setInput(packed);
      i.inflate(out, 0, 1000); // not to the end: the window is needed
      if (control) {
        i.end();
      } else {
        kept.add(i);
        leaked.add(40 << 10);
      }
    }
  }

  static final class Gzip extends ZipKind {
    private final byte[] packed;

    Gzip(boolean control) throws IOException {
      super(control, 20);
      ByteArrayOutputStream b = new ByteArrayOutputStream();
      try (GZIPOutputStream z = new GZIPOutputStream(b)) {
        z.write(plain);
      }
      packed = b.toByteArray();
    }

    @Override
    void step(long n) throws IOException {
      GZIPInputStream z = new GZIPInputStream(new ByteArrayInputStream(packed));
      z.readNBytes(out, 0, 1000);
      if (control) {
        z.close();
      } else {
        kept.add(z);
        leaked.add(40 << 10);
      }
    }
  }
}
