// Calls a -> b -> c and stands still there. b is inlined at -O2.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int sink;

__attribute__((noinline)) int c(int n)
{
	pause(); // line 13
	return n + sink;
}

static inline __attribute__((always_inline)) int b(int n)
{
	int r = c(n + 1); // line 19
	sink += r;
	return r;
}

__attribute__((noinline)) int a(int n)
{
	char local[256];
	memset(local, n, sizeof local);
	sink += local[n];
	int r = b(n + 1); // line 29
	sink += r;
	return r + local[3];
}

__attribute__((noinline)) int deep(int n)
{
	char local[100];
	memset(local, n, sizeof local);
	sink += local[n % 100];
	if (n == 0)
		return a(1);
	return deep(n - 1) + local[7];
}

static void handler(int s)
{
	sink += a(s);
}

static void *thread(void *arg)
{
	sink += a(1);
	return arg;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	pthread_t t;
	if (!strcmp(how, "signal")) {
		signal(SIGUSR1, handler);
		raise(SIGUSR1);
	} else if (!strcmp(how, "thread")) {
		pthread_create(&t, 0, thread, 0);
		pthread_join(t, 0);
	} else if (!strcmp(how, "deep")) {
		sink += deep(atoi(argv[2]));
	} else {
		sink += a(1);
	}
	return sink;
}
