package shaded.io.netty.util.internal;

import java.util.concurrent.atomic.AtomicLong;

/** Has the static fields of Netty's class, among others. */
public final class PlatformDependent {
    static final Object FIRST = new Object();
    static boolean flag = true;
    private static final long DIRECT_MEMORY_LIMIT = Long.getLong("limit", 987654321L);
    private static final int ODD = FIRST.hashCode();
    private static final AtomicLong DIRECT_MEMORY_COUNTER = new AtomicLong(41);
    private final long direct = 1;
}
