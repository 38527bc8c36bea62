/* What NativeKind.java asks for. Every page is written to, but for a thread's stack. */
#define _GNU_SOURCE
#include <jni.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_NativeKind_##name

static void *checked(void *p, const char *what)
{
	if (p == NULL || p == (void *)-1) {
		perror(what);
		exit(4);
	}
	return p;
}

NATIVE(jlong, malloc)(JNIEnv *env, jclass c, jlong bytes)
{
	void *p = checked(malloc(bytes), "malloc");
	memset(p, 1, bytes);
	return (intptr_t)p;
}

NATIVE(void, free)(JNIEnv *env, jclass c, jlong p)
{
	free((void *)(intptr_t)p);
}

NATIVE(jlong, mmap)(JNIEnv *env, jclass c, jlong bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(checked(p, "mmap"), 1, bytes);
	return (intptr_t)p;
}

NATIVE(void, munmap)(JNIEnv *env, jclass c, jlong p, jlong bytes)
{
	if (munmap((void *)(intptr_t)p, bytes))
		checked(NULL, "munmap");
}

NATIVE(jlong, mremap)(JNIEnv *env, jclass c, jlong p, jlong from, jlong to)
{
	char *q = checked(mremap((void *)(intptr_t)p, from, to, MREMAP_MAYMOVE), "mremap");
	if (to > from)
		memset(q + from, 1, to - from);
	return (intptr_t)q;
}

static char *expected;

NATIVE(jlong, sbrk)(JNIEnv *env, jclass c, jlong delta)
{
	char *now = sbrk(0);
	if (delta < 0 && now != expected)
		return 0;
	char *p = checked(sbrk(delta), "sbrk");
	if (delta > 0)
		memset(p, 1, delta);
	expected = sbrk(0);
	return (intptr_t)expected;
}

struct parked {
	pthread_t thread;
	pthread_mutex_t lock; /* held until it shall end */
};

static void *park(void *arg)
{
	struct parked *p = arg;
	pthread_mutex_lock(&p->lock);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

NATIVE(jlong, pthread)(JNIEnv *env, jclass c)
{
	struct parked *p = checked(malloc(sizeof(*p)), "malloc");
	pthread_attr_t attr;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_lock(&p->lock);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 8 << 20);
	if (pthread_create(&p->thread, &attr, park, p))
		checked(NULL, "pthread_create");
	pthread_attr_destroy(&attr);
	return (intptr_t)p;
}

NATIVE(void, join)(JNIEnv *env, jclass c, jlong thread)
{
	struct parked *p = (void *)(intptr_t)thread;
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	free(p);
}
