// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: aio_error, aio_return, aio_suspend, fork and exit in a signal handler
 * that interrupts the other calls anywhere (POSIX has the first four, and _exit, among
 * the functions that a handler may call).
 *
 * A second thread sends the signal, again and again, a random moment after the handler of
 * the one before has returned. The handler waits for a request of its own, which ends
 * only if the interrupted call holds nothing that the request needs.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

#define SIGNAL	SIGUSR1

/* --- the request of the handler --- */

static struct {
	struct aiocb block;	/* its request */
	ssize_t result;		/* its result, unless it is cancelled */
	volatile sig_atomic_t armed;
	unsigned int handled;	/* atomic; requests whose result it has taken */
	unsigned int wrong;
	unsigned int calls;	/* atomic; of the handler */
} handler;

/* Gives the handler a write or a sync to wait for. */
static void handler_arm(int file)
{
	bool sync = handler.handled % 2;
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	need(pthread_sigmask(SIG_BLOCK, &set, &old) == 0);
	handler.block = transfer_of(file, "h", 1, 0);
	handler.result = sync ? 0 : 1;
	need((sync ? sync_queue(O_DSYNC, &handler.block) :
		     write_queue(&handler.block)) == 0);
	handler.armed = 1;
	need(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

/* --- the calls --- */

/* Makes the call once, and ends the requests that it has queued. */
typedef void (*call_fn)(int file);

static void call_write(int file)
{
	struct aiocb block = transfer_of(file, "x", 1, 0);

	need(write_queue(&block) == 0);
	while (aio_error(&block) == EINPROGRESS)
		;
	need(aio_return(&block) == 1);
}

static void call_read(int file)
{
	char data;
	struct aiocb block = transfer_of(file, &data, 1, 0);

	need(read_queue(&block) == 0);
	while (aio_error(&block) == EINPROGRESS)
		;
	need(aio_return(&block) >= 0);
}

/* With a write that delays it, and without. */
static void call_fsync(int file)
{
	struct aiocb write = transfer_of(file, "x", 1, 0);
	struct aiocb syncs[2] = { block_of(file), block_of(file) };

	need(sync_queue(O_DSYNC, &syncs[0]) == 0);
	need(write_queue(&write) == 0);
	need(sync_queue(O_SYNC, &syncs[1]) == 0);
	need(block_end(&syncs[0]) == 0);
	need(block_end(&syncs[1]) == 0);
	need(block_end(&write) == 1);
}

static void list_call(int file, int mode)
{
	struct aiocb blocks[3], *list[3];
	int i;

	for (i = 0; i < 3; i++) {
		blocks[i] = transfer_of(file, "x", 1, i);
		blocks[i].aio_lio_opcode = LIO_WRITE;
		list[i] = &blocks[i];
	}
	while (lio_listio(mode, list, 3, NULL))
		need(errno == EINTR);
	for (i = 0; i < 3; i++)
		need(block_end(&blocks[i]) == 1);
}

static void call_listio_nowait(int file)
{
	list_call(file, LIO_NOWAIT);
}

static void call_listio_wait(int file)
{
	list_call(file, LIO_WAIT);
}

/* By descriptor, and by block. */
static void call_cancel(int file)
{
	struct aiocb blocks[4];
	ssize_t end;
	int i;

	for (i = 0; i < 3; i++) {
		blocks[i] = transfer_of(file, "x", 1, 0);
		need(write_queue(&blocks[i]) == 0);
	}
	blocks[3] = block_of(file);
	need(sync_queue(O_SYNC, &blocks[3]) == 0);
	need(aio_cancel(file, &blocks[3]) >= 0);
	need(aio_cancel(file, NULL) >= 0);
	for (i = 0; i < 4; i++) {
		end = block_end(&blocks[i]);
		need(end == -ECANCELED || end == (i < 3));
	}
}

static void call_suspend(int file)
{
	const struct timespec at_once = {}, forever = { .tv_sec = 3600 };
	struct aiocb block = transfer_of(file, "x", 1, 0);
	const struct aiocb *list[] = { &block };

	need(write_queue(&block) == 0);
	while (aio_suspend(list, 1, &at_once))
		need(errno == EAGAIN || errno == EINTR);
	need(block_end(&block) == 1);
	block = block_of(file);
	need(sync_queue(O_DSYNC, &block) == 0);
	while (aio_suspend(list, 1, &forever))
		need(errno == EINTR);
	need(block_end(&block) == 0);
}

/* No call of the library at all, but one whose locks the library's threads might need. */
static void call_malloc(int file)
{
	struct aiocb syncs[8];
	void *volatile memory;
	int i, j;

	for (i = 0; i < 8; i++) {
		syncs[i] = block_of(file);
		need(sync_queue(O_DSYNC, &syncs[i]) == 0);
	}
	/* Behind the others, whose end must not delay it. */
	if (!handler.armed)
		handler_arm(file);
	for (i = 0; i < 8; i++) {
		while (aio_error(&syncs[i]) == EINPROGRESS)
			for (j = 0; j < 100; j++) {
				memory = malloc(3000);
				free(memory);
			}
		need(aio_return(&syncs[i]) == 0);
	}
}

/* --- the handlers --- */

/* Waits for the request, which the interrupted thread has queued. */
static void on_signal_wait(int signal)
{
	const struct aiocb *list[] = { &handler.block };
	int saved = errno, error;

	(void)signal;
	if (handler.armed) {
		while ((error = aio_error(&handler.block)) == EINPROGRESS)
			aio_suspend(list, 1, NULL);
		if (aio_return(&handler.block) != (error ? -1 : handler.result) ||
		    (error && error != ECANCELED))
			handler.wrong++;
		handler.armed = 0;
		handler.handled++;
	}
	errno = saved;
	__atomic_add_fetch(&handler.calls, 1, __ATOMIC_RELEASE);
}

static void on_signal_fork(int signal)
{
	int saved = errno, status;
	pid_t pid;

	(void)signal;
	pid = fork();
	if (!pid)
		_exit(aio_error(&handler.block) ? 21 : 20);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 20 << 8)
		handler.wrong++;
	handler.handled++;
	errno = saved;
	__atomic_add_fetch(&handler.calls, 1, __ATOMIC_RELEASE);
}

static void on_signal_exit(int signal)
{
	(void)signal;
	exit(22);
}

struct sender {
	pthread_t self;
	pthread_t to;
	bool stop;
};

static void *sender_thread(void *arg)
{
	unsigned int sent = 0, seed = getpid();
	struct sender *sender = arg;
	volatile unsigned int spin;

	while (!__atomic_load_n(&sender->stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&handler.calls, __ATOMIC_ACQUIRE) != sent) {
			sched_yield();
			continue;
		}
		for (spin = rand_r(&seed) % 20000; spin; spin--)
			;
		need(pthread_kill(sender->to, SIGNAL) == 0);
		sent++;
	}
	return NULL;
}

static void sender_start(struct sender *sender, void (*function)(int signal))
{
	struct sigaction action = { .sa_handler = function, .sa_flags = SA_RESTART };

	need(sigaction(SIGNAL, &action, NULL) == 0);
	memset(&handler, 0, sizeof(handler));
	sender->to = pthread_self();
	sender->stop = false;
	sender->self = thread_start(sender_thread, sender);
}

static void sender_stop(struct sender *sender)
{
	__atomic_store_n(&sender->stop, true, __ATOMIC_RELEASE);
	thread_join(sender->self);
}

/* --- the tests --- */

FIXTURE(signal) {
	struct stage s;
};

FIXTURE_VARIANT(signal) {
	call_fn call;
	bool waits_only;	/* POSIX does not list fork() as safe there */
};

FIXTURE_VARIANT_ADD(signal, aio_write) { .call = call_write };
FIXTURE_VARIANT_ADD(signal, aio_read) { .call = call_read };
FIXTURE_VARIANT_ADD(signal, aio_fsync) { .call = call_fsync };
FIXTURE_VARIANT_ADD(signal, lio_listio_nowait) { .call = call_listio_nowait };
FIXTURE_VARIANT_ADD(signal, lio_listio_wait) { .call = call_listio_wait };
FIXTURE_VARIANT_ADD(signal, aio_cancel) { .call = call_cancel };
FIXTURE_VARIANT_ADD(signal, aio_suspend) { .call = call_suspend };
FIXTURE_VARIANT_ADD(signal, malloc) { .call = call_malloc, .waits_only = true };

FIXTURE_SETUP(signal)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(signal)
{
	stage_close(&self->s);
}

TEST_F(signal, handler_that_interrupts_the_call_can_wait_for_a_request)
{
	unsigned int n = rounds(300);
	struct sender sender;

	sender_start(&sender, on_signal_wait);
	while (handler.handled < n) {
		if (!handler.armed && variant->call != call_malloc)
			handler_arm(self->s.file);
		variant->call(self->s.file);
	}
	sender_stop(&sender);
	EXPECT_EQ(0, handler.wrong);
	if (handler.armed)
		block_end(&handler.block);
}

TEST_F(signal, handler_that_interrupts_the_call_can_fork)
{
	unsigned int n = rounds(20);
	struct sender sender;

	if (variant->waits_only)
		return;

	sender_start(&sender, on_signal_fork);
	while (handler.handled < n)
		variant->call(self->s.file);
	sender_stop(&sender);
	EXPECT_EQ(0, handler.wrong);
}

/* Including the first call, which decides whether the device or glibc serves the process. */
TEST_F(signal, handler_that_interrupts_the_call_can_exit)
{
	unsigned int i, n = rounds(10);
	struct sender sender;
	pid_t pid;

	if (variant->waits_only)
		return;
	for (i = 0; i < n; i++) {
		pid = fork();
		need(pid >= 0);
		if (!pid) {
			sender_start(&sender, on_signal_exit);
			for (;;)
				variant->call(self->s.file);
		}
		ASSERT_EQ(22, child_wait(pid));
	}
}

TEST_HARNESS_MAIN
