#include "stress.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

/* 32-bit system calls from a 64-bit program: their tracepoints do not fire. */

#if defined(__x86_64__)

#define NR32_GETPID 20
#define NR32_MUNMAP 91
#define NR32_MMAP2 192

static sigjmp_buf back;

static long int80(long nr, long a, long b, long c, long d, long e, long f)
{
	int ret;

	__asm__ volatile("mov %%rbp, %%r12\n\t"
			 "mov %[f], %%rbp\n\t"
			 "int $0x80\n\t"
			 "mov %%r12, %%rbp"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "r"(f)
			 : "r8", "r9", "r10", "r11", "r12", "memory");
	return ret < 0 && ret > -4096 ? ret : (long)(unsigned)ret;
}

static void refused(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

bool compat_init(void)
{
	struct sigaction sa = {.sa_handler = refused}, old;
	volatile bool ok = false;

	sigaction(SIGSEGV, &sa, &old);
	if (!sigsetjmp(back, 1))
		ok = int80(NR32_GETPID, 0, 0, 0, 0, 0, 0) == sys0(SYS_getpid);
	sigaction(SIGSEGV, &old, NULL);
	if (!ok)
		note("skip compat: the kernel does not answer int 0x80");
	return ok;
}

void compat_op(struct worker *w)
{
	unsigned long n = 1 + below(w, 64);
	long r;

	w->calls++;
	if (w->loose && (loose_full(w) || below(w, 2))) {
		struct region g = w->region[--w->loose];

		int80(NR32_MUNMAP, (long)g.addr, (long)(g.pages * page), 0, 0, 0, 0);
		return;
	}
	r = int80(NR32_MMAP2, 0, (long)(n * page), any_prot(w), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!is_err(r))
		loose_keep(w, (unsigned long)r, n, false);
}

#else

bool compat_init(void)
{
	note("skip compat: no int 0x80 on this architecture");
	return false;
}

void compat_op(struct worker *w)
{
	(void)w;
}

#endif
