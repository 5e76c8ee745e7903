// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The notification of a request. It is copied at the call, thread attributes
 * included: the control block may be gone when the request ends, and so may the
 * attributes. A signal is sent by the thread that ends the request; notifier.c creates
 * the threads.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix.h"

/*
 * Copies the notification of @event; NULL is none. EINVAL if it is impossible.
 * Signal 0, that of a cleared control block, is accepted, and none is sent. Called
 * without the lock.
 */
int notice_copy(const struct sigevent *event, struct notice *notice)
{
	int ret;

	*notice = (struct notice){ .kind = SIGEV_NONE };
	if (!event)
		return 0;
	notice->value = event->sigev_value;
	notice->signo = event->sigev_signo;
	switch (event->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_THREAD_ID:
		notice->tid = event->_sigev_un._tid;
		__attribute__((fallthrough));
	case SIGEV_SIGNAL:
		if (notice->signo < 0 || notice->signo > SIGRTMAX)
			return EINVAL;
		break;
	case SIGEV_THREAD:
		ret = notice_thread_copy(event, &notice->thread);
		if (ret)
			return ret;
		break;
	default:
		return EINVAL;
	}
	notice->kind = event->sigev_notify;
	return 0;
}

/* With its value; without, if the program has reached its limit of pending signals. */
static void signal_send(const struct notice *notice)
{
	siginfo_t info = {
		.si_signo = notice->signo,
		.si_code = SI_ASYNCIO,
	};
	pid_t pid = getpid();
	bool queued;

	if (!notice->signo)
		return;
	info.si_pid = pid;
	info.si_uid = getuid();
	info.si_value = notice->value;
	if (notice->kind == SIGEV_SIGNAL) {
		queued = !syscall(SYS_rt_sigqueueinfo, pid, notice->signo, &info);
		if (!queued && errno == EAGAIN)
			kill(pid, notice->signo);
	} else {
		queued = !syscall(SYS_rt_tgsigqueueinfo, pid, notice->tid, notice->signo,
				  &info);
		if (!queued && errno == EAGAIN)
			syscall(SYS_tgkill, pid, notice->tid, notice->signo);
	}
}

/* Notifies the program, once. May be called by any thread, without the lock. */
void notice_send(struct notice *notice)
{
	if (notice->kind == SIGEV_THREAD) {
		notice_thread_send(notice->thread);
		notice->thread = NULL;
	} else if (notice->kind != SIGEV_NONE) {
		signal_send(notice);
	}
}

/* Frees the resources of a notice that was not sent, or could not be. */
void notice_drop(struct notice *notice)
{
	if (notice->thread)
		notice_thread_drop(notice->thread);
	notice->thread = NULL;
}
