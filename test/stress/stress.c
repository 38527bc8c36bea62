/*
 * stress: many threads change their address space in every way they can, and
 * stand still at quiet points so that somebody may compare.
 *
 *	stress [--mode M[,M]...] [--threads N] [--calls N] [--quiet K] [--seed S]
 *	       [--slow MICROSECONDS] [--wait] [--exec N] [--self-check]
 *
 * mode    what it does (default owned)
 * owned   each thread works in its own part; parts are handed over
 * racy    all threads unsynchronised in one arena, and on the break
 * owner   thread I maps lengths of I mod 97 pages only; prints "owner TID I"
 * fork    owned, with fork, vfork, exec, threads and processes that share all
 * shm     shmat, shmdt, remap_file_pages
 * fault   mappings that grow by faults, a main stack in parts
 * compat  mmap and munmap through int 0x80
 * die     owned, with processes that end inside calls, and forks that fail
 * dirty   owned, with calls that fail after they have changed something
 * dontfork  owned, with areas that children do not inherit
 * storm   no end and no quiet point of its own: SIGUSR2 asks for one,
 *         SIGTERM or the end of stdin ends it
 *
 * stdout: "ready pid P" (with --wait it then reads a line), at each quiet point
 * "quiet I calls C pid P [CHILD]..." (then it reads a line; at the end of stdin
 * it goes on), and "done calls C". stderr: the seed, and what was left out.
 */
#include "stress.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct options opt = {.mode = 0, .threads = 8, .quiet = 10, .calls = 100000};

static struct worker workers[THREADS_MAX];
static pthread_barrier_t all_here, all_go;
static volatile sig_atomic_t quiet_wanted, stop_wanted;
static int execs;
static char **args;
static bool has_compat;

static void print(int fd, const char *fmt, va_list ap)
{
	char line[1024];
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);

	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(fd, line, (size_t)n) != n)
		_exit(3); /* nobody listens */
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(1, fmt, ap);
	va_end(ap);
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(2, fmt, ap);
	va_end(ap);
}

/* Reads up to the end of a line; false at the end of stdin. */
static bool read_line(void)
{
	char c;

	for (;;) {
		ssize_t n = read(0, &c, 1);

		if (n == 1 && c == '\n')
			return true;
		if (n == 0)
			return false;
	}
}

void some_op(struct worker *w)
{
	unsigned m = opt.mode;

	if ((m & FORK) && below(w, 400) == 0)
		family_op(w);
	else if ((m & DIE) && below(w, 600) == 0)
		die_op(w);
	else if (m & OWNER)
		owner_op(w);
	else if ((m & RACY) && (!(m & OWNED) || below(w, 2)))
		racy_op(w);
	else if ((m & SHM) && below(w, 8))
		shm_op(w);
	else if ((m & FAULT) && below(w, 4) == 0)
		fault_op(w);
	else if ((m & DONTFORK) && below(w, 8) == 0)
		dontfork_op(w);
	else if (m & DIRTY)
		dirty_op(w);
	else if (m & COMPAT) /* nothing but what no tracepoint shows */
		compat_op(w);
	else if (m & SHM)
		heap_op(w, false);
	else
		owned_op(w);
}

static long calls_made(void)
{
	long sum = 0;

	for (int i = 0; i < opt.threads; i++)
		sum += workers[i].calls;
	return sum;
}

static void say_quiet(int round)
{
	int pids[64], n = family_pids(pids, 64);
	char line[900];
	int len = snprintf(line, sizeof(line), "quiet %d calls %ld pid %d", round, calls_made(),
			   getpid());

	if (opt.mode & OWNER)
		for (int i = 0; i < opt.threads; i++)
			say("owner %d %d", workers[i].tid, workers[i].id);
	for (int i = 0; i < n; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, " %d", pids[i]);
	say("%s", line);
}

/* All threads meet; the first one prints, waits, and lets everybody go on. */
static void quiet_point(struct worker *w, int round, bool last)
{
	pthread_barrier_wait(&all_here);
	if (w->id == 1) {
		quiet_wanted = 0;
		family_settle();
		say_quiet(round);
		read_line();
		family_release(last);
	}
	pthread_barrier_wait(&all_go);
}

static void storm(struct worker *w)
{
	struct pollfd in = {.fd = 0};
	int round = 0;

	for (unsigned n = 1;; n++) {
		some_op(w);
		if (quiet_wanted)
			quiet_point(w, ++round, false);
		if (w->id != 1)
			continue;
		if (stop_wanted)
			break;
		if (n % 1024 == 0 && poll(&in, 1, 0) == 1 && (in.revents & POLLHUP))
			break;
	}
	say("done calls %ld", calls_made());
	_exit(0); /* the others are still at it */
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->tid = (int)sys0(SYS_gettid);
	pthread_barrier_wait(&all_here);
	if (w->id == 1) {
		say("ready pid %d", getpid());
		if (opt.wait)
			read_line();
	}
	pthread_barrier_wait(&all_go);
	if (opt.mode & STORM)
		storm(w);
	for (int round = 1; round <= (opt.quiet ? opt.quiet : 1); round++) {
		long goal = opt.calls / opt.threads * round / (opt.quiet ? opt.quiet : 1);

		while (w->calls < goal)
			some_op(w);
		if (opt.quiet)
			quiet_point(w, round, round == opt.quiet);
	}
	return NULL;
}

static int self_check(void)
{
	struct worker *w = &workers[0];
	long bad = 0;

	model_on = true;
	for (int round = 1; round <= opt.quiet && !bad; round++) {
		while (w->calls < opt.calls * round / opt.quiet)
			some_op(w);
		bad = model_check();
	}
	say("self-check calls %ld different %ld", w->calls, bad);
	return bad != 0;
}

static void on_signal(int sig)
{
	if (sig == SIGUSR2)
		quiet_wanted = 1;
	else
		stop_wanted = 1;
}

static unsigned parse_mode(char *text)
{
	static const char *const names[] = {"owned", "racy",  "fork",   "owner", "storm", "shm",
					    "fault", "compat", "die",   "dirty", "dontfork"};
	unsigned m = 0;

	for (char *p = strtok(text, ","); p; p = strtok(NULL, ",")) {
		unsigned i = 0;

		while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i], p))
			i++;
		if (i == sizeof(names) / sizeof(names[0])) {
			note("no such mode: %s", p);
			exit(2);
		}
		m |= 1U << i;
	}
	return m;
}

static void parse_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool value = i + 1 < argc;

		if (!strcmp(argv[i], "--wait"))
			opt.wait = true;
		else if (!strcmp(argv[i], "--self-check"))
			opt.self_check = true;
		else if (value && !strcmp(argv[i], "--mode"))
			opt.mode = parse_mode(strdup(argv[++i]));
		else if (value && !strcmp(argv[i], "--threads"))
			opt.threads = atoi(argv[++i]);
		else if (value && !strcmp(argv[i], "--calls"))
			opt.calls = atol(argv[++i]);
		else if (value && !strcmp(argv[i], "--quiet"))
			opt.quiet = atoi(argv[++i]);
		else if (value && !strcmp(argv[i], "--seed"))
			opt.seed = strtoull(argv[++i], NULL, 0);
		else if (value && !strcmp(argv[i], "--slow"))
			opt.slow_us = atol(argv[++i]);
		else if (value && !strcmp(argv[i], "--exec"))
			execs = atoi(argv[++i]);
		else {
			note("bad option: %s", argv[i]);
			exit(2);
		}
	}
	if (!(opt.mode & ~(unsigned)STORM))
		opt.mode |= OWNED;
	if (opt.self_check)
		opt.threads = 1;
	if (opt.threads < 1 || opt.threads > THREADS_MAX)
		opt.threads = THREADS_MAX;
	if (!opt.seed)
		opt.seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	if (opt.mode & (FORK | DIE | DONTFORK))
		block_pages = 64; /* less to copy */
}

/* --exec N: at the end the whole program again, in the same process. */
static void again(char **argv)
{
	static char left[16];

	for (int i = 1; argv[i]; i++)
		if (!strcmp(argv[i], "--exec")) {
			snprintf(left, sizeof(left), "%d", execs - 1);
			argv[i + 1] = left;
		}
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS_MAX];
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (argc == 6 && !strcmp(argv[1], "--child"))
		return family_exec(argv + 1);
	args = argv;
	parse_options(argc, argv);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	note("seed %llu", (unsigned long long)opt.seed);
	if (opt.mode & STORM) {
		sigaction(SIGTERM, &sa, NULL);
		sigaction(SIGUSR2, &sa, NULL);
	}
	calls_init();
	if (opt.mode & COMPAT)
		has_compat = compat_init();
	if ((opt.mode & COMPAT) && !has_compat)
		return 4;
	if (opt.mode & SHM)
		shm_init();
	family_init(-1);
	arena_init(workers, opt.threads);
	pthread_barrier_init(&all_here, NULL, (unsigned)opt.threads);
	pthread_barrier_init(&all_go, NULL, (unsigned)opt.threads);
	for (int i = 0; i < opt.threads; i++) {
		workers[i].id = i + 1;
		seed_worker(&workers[i], opt.seed, (uint64_t)i + 1);
	}
	for (int i = 1; i < opt.threads; i++)
		if (pthread_create(&thread[i], NULL, work, &workers[i])) {
			note("no thread");
			return 1;
		}
	heap_init();
	if (opt.self_check)
		return self_check();
	work(&workers[0]);
	for (int i = 1; i < opt.threads; i++)
		pthread_join(thread[i], NULL);
	say("done calls %ld", calls_made());
	if (execs > 0)
		again(args);
	return 0;
}
