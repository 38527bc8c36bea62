import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** Arenas of the foreign memory interface that are never closed; the control closes them. JDK 22 and later. */
final class FfmKind extends Kind {
  private final List<Arena> kept = new ArrayList<>();

  FfmKind(boolean control) {
    super(control, 400, "direct-buffer");
  }

  @Override
  void step(long n) {
    Arena a = Arena.ofShared();
    a.allocate(MIB, 1).fill((byte) 1);
    if (control) {
      a.close();
    } else {
      kept.add(a);
      leaked.add(mapped(MIB));
    }
  }
}
