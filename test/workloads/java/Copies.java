import java.io.IOException;
import java.io.InputStream;

/** Loads its own copy of every class whose name begins with a prefix. */
final class Copies extends ClassLoader {
  private final String prefix;

  Copies(ClassLoader parent, String prefix) {
    super(parent);
    this.prefix = prefix;
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    Class<?> known = findLoadedClass(name);
    if (known != null || !name.startsWith(prefix)) {
      return known != null ? known : super.loadClass(name, resolve);
    }
    try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
      if (in == null) {
        throw new ClassNotFoundException(name);
      }
      byte[] b = in.readAllBytes();
      return defineClass(name, b, 0, b.length);
    } catch (IOException e) {
      throw new ClassNotFoundException(name, e);
    }
  }
}
