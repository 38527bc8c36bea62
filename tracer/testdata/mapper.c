/*
 * mapper: calls that acquire memory, each from a stack that the test knows.
 *
 *	mapper calls        one call of each kind, in the order of main
 *	mapper deep N       a call below N frames of 1 KiB
 *	mapper hollow KIB   a call below a frame of KIB that is not in memory
 *	mapper many N RATE  N mappings of 64 KiB, RATE a second (0: as fast as it goes)
 *
 * It says "ready", begins when it reads a line, says "done", and ends at the end of its input.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KEPT __attribute__((noinline, noclone))
#define KIB 1024L
#define RW (PROT_READ | PROT_WRITE)

static void *map(long size, int prot, int flags)
{
	void *p = mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

/* The barriers keep the compiler from making jumps of the last calls. */
KEPT void *inner(long size)
{
	void *p = map(size, RW, MAP_PRIVATE);

	__asm__ volatile("" ::: "memory");
	return p;
}

KEPT void *middle(long size)
{
	void *p = inner(size);

	__asm__ volatile("" ::: "memory");
	return p;
}

KEPT void *outer(long size)
{
	void *p = middle(size);

	__asm__ volatile("" ::: "memory");
	return p;
}

KEPT void deep(int levels)
{
	volatile char frame[KIB];

	memset((void *)frame, levels, sizeof(frame));
	if (levels > 0)
		deep(levels - 1);
	else
		map(68 * KIB, RW, MAP_PRIVATE);
	frame[0] = frame[1];
}

KEPT void hollow(long size)
{
	char *frame = alloca(size), *page = (char *)(((uintptr_t)frame + 4 * KIB - 1) & -(4 * KIB));

	if (madvise(page, (frame + size - page) & -(4 * KIB), MADV_DONTNEED))
		abort();
	outer(64 * KIB);
	__asm__ volatile("" ::: "memory");
}

static void each_kind(void)
{
	char *p, *closed;

	outer(64 * KIB);
	outer(28 * KIB); /* below the least size */
	map(72 * KIB, RW, MAP_SHARED);
	closed = map(256 * KIB, PROT_NONE, MAP_PRIVATE);
	if (mprotect(closed, 76 * KIB, RW) || mprotect(closed, 80 * KIB, PROT_NONE))
		abort();
	p = map(84 * KIB, RW, MAP_PRIVATE);
	p = mremap(p, 84 * KIB, 88 * KIB, MREMAP_MAYMOVE);
	p = mremap(p, 88 * KIB, 60 * KIB, 0); /* shrinks where it is */
	p = mremap(p, 60 * KIB, 60 * KIB, MREMAP_MAYMOVE | MREMAP_FIXED, closed + 128 * KIB);
	if (p == MAP_FAILED || sbrk(92 * KIB) == (void *)-1 || sbrk(4 * KIB) == (void *)-1)
		abort();
}

static void many(long n, long rate)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long i = 0; i < n; i++) {
		munmap(outer(64 * KIB), 64 * KIB);
		if (!rate)
			continue;
		next.tv_nsec += 1000000000 / rate;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}

int main(int argc, char **argv)
{
	char line[8];

	setvbuf(stdin, NULL, _IONBF, 0); /* no buffers: no memory but what is said here */
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("ready");
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "calls"))
		each_kind();
	else if (!strcmp(argv[1], "deep") && argc == 3)
		deep(atoi(argv[2]));
	else if (!strcmp(argv[1], "hollow") && argc == 3)
		hollow(atol(argv[2]) * KIB);
	else if (!strcmp(argv[1], "many") && argc == 4)
		many(atol(argv[2]), atol(argv[3]));
	else
		return 2;
	puts("done");
	return fgets(line, sizeof(line), stdin) != NULL;
}
