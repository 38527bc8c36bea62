/*
 * pair: what one operation costs, for measuring what tracing adds to it.
 *
 *	pair [--mode M] [--n N] [--rounds R] [--threads T] [--stack BYTES] [--wait]
 *
 * mode    one operation is
 * pair    mmap and munmap of 64 KiB
 * touch   the same, with its 16 pages written to
 * getpid  one getpid: a bystander
 * rw      a read of one byte of /dev/zero and a write of one to /dev/null
 * events  the pair, by T threads at once
 * block   malloc and free of 64 KiB, which malloc takes from what it has
 * small   the same of 64 bytes
 *
 * stdout, one line a round: "MODE n N wall_ns W cpu_ns C", both per operation;
 * cpu_ns is the threads' own CPU time. With --wait each round begins with a
 * line on stdin, after "ready stack S pid P"; a number there is a new n. S is
 * how many bytes of the main thread's stack are in use: BYTES or a little more.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LENGTH (64 << 10)
#define THREADS_MAX 64
#define STACK_MAX (1 << 20)

static const char *mode = "pair";
static long n = 100000;
static int rounds = 1, threads = 1;
static int zero, null;
static pthread_barrier_t begin;

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void pair(int touch)
{
	char *p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	if (touch)
		for (int i = 0; i < LENGTH; i += 4096)
			*(volatile char *)(p + i) = 1;
	munmap(p, LENGTH);
}

static void block(size_t size)
{
	char *volatile p = malloc(size); /* or the compiler does without */

	if (!p)
		abort();
	free(p);
}

static void rw(void)
{
	char c;

	if (read(zero, &c, 1) != 1 || write(null, &c, 1) != 1)
		abort();
}

/* The CPU time that n operations took this thread. */
static int64_t run(void)
{
	int64_t from = now(CLOCK_THREAD_CPUTIME_ID);
	int which = mode[0];

	for (long i = 0; i < n; i++) {
		if (which == 'p' || which == 'e')
			pair(0);
		else if (which == 't')
			pair(1);
		else if (which == 'g')
			syscall(SYS_getpid);
		else if (which == 'b' || which == 's')
			block(which == 'b' ? LENGTH : 64);
		else
			rw();
	}
	return now(CLOCK_THREAD_CPUTIME_ID) - from;
}

static void *thread_main(void *cpu)
{
	pthread_barrier_wait(&begin);
	*(int64_t *)cpu = run();
	return NULL;
}

static void one_round(void)
{
	pthread_t thread[THREADS_MAX];
	int64_t cpu[THREADS_MAX], sum = 0, from;

	pthread_barrier_init(&begin, NULL, (unsigned)threads);
	for (int i = 1; i < threads; i++)
		if (pthread_create(&thread[i], NULL, thread_main, &cpu[i]))
			abort();
	pthread_barrier_wait(&begin);
	from = now(CLOCK_MONOTONIC);
	cpu[0] = run();
	for (int i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
	from = now(CLOCK_MONOTONIC) - from;
	for (int i = 0; i < threads; i++)
		sum += cpu[i];
	printf("%s n %ld wall_ns %.1f cpu_ns %.1f\n", mode, n * threads,
	       (double)from / (double)(n * threads), (double)sum / (double)(n * threads));
	fflush(stdout);
}

/* How many bytes lie between here and the end of this thread's stack. */
static long stack_in_use(void)
{
	pthread_attr_t attr;
	void *start;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr) ||
	    pthread_attr_getstack(&attr, &start, &size))
		abort();
	pthread_attr_destroy(&attr);
	return (char *)start + size - (char *)__builtin_frame_address(0);
}

static void every_round(int wait)
{
	char line[32];

	printf("ready stack %ld pid %d\n", stack_in_use(), getpid());
	fflush(stdout);
	for (int i = 0; i < rounds; i++) {
		if (wait && !fgets(line, sizeof(line), stdin))
			return;
		if (wait && atol(line) > 0)
			n = atol(line);
		one_round();
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: pair [--mode pair|touch|getpid|rw|events|block|small] [--n N] [--rounds R] "
			"[--threads T] [--stack BYTES] [--wait]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"pair", "touch", "getpid", "rw", "events", "block", "small"};
	int wait = 0, known = 0;
	volatile char *hole;
	long stack = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--wait"))
			wait = 1;
		else if (i + 1 == argc)
			return usage();
		else if (!strcmp(argv[i], "--mode"))
			mode = argv[++i];
		else if (!strcmp(argv[i], "--n"))
			n = atol(argv[++i]);
		else if (!strcmp(argv[i], "--rounds"))
			rounds = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--threads"))
			threads = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--stack"))
			stack = atol(argv[++i]);
		else
			return usage();
	}
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		known |= !strcmp(mode, modes[i]);
	if (strcmp(mode, "events"))
		threads = 1;
	if (!known || n < 1 || threads < 1 || threads > THREADS_MAX || stack < 0 ||
	    stack > STACK_MAX)
		return usage();
	zero = open("/dev/zero", O_RDONLY);
	null = open("/dev/null", O_WRONLY);
	stack = stack > stack_in_use() ? stack - stack_in_use() : 1;
	hole = alloca((size_t)stack);
	for (long i = stack; i > 0; i--) /* a stack has no page that was never used */
		hole[i - 1] = 0;
	every_round(wait);
	*hole = 0; /* it is there until now */
	return 0;
}
