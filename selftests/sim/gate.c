// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gates: places where calls stop, count and fail on command. A held call sleeps killably,
 * unless the command asks otherwise, on behalf of an open file; that pins the mount, and
 * the mount pins the module.
 */
#include <linux/cred.h>
#include <linux/sched/signal.h>

#include "sim.h"

struct sim_holder sim_holder(const struct file *file)
{
	return (struct sim_holder) { .file = file, .owner = current->files };
}

bool sim_holder_is(const struct sim_holder *holder, const struct file *file,
		   fl_owner_t owner)
{
	return holder->file == file && holder->owner == owner;
}

void sim_gate_init(struct sim_gate *gate)
{
	init_waitqueue_head(&gate->wait);
	spin_lock_init(&gate->lock);
}

/* True once the caller may pass; uses up a step if it needs one. */
static bool sim_gate_try(struct sim_gate *gate)
{
	bool pass;

	spin_lock(&gate->lock);
	pass = !gate->held || (gate->one_user && !uid_eq(gate->user, current_fsuid()));
	if (!pass && gate->steps) {
		gate->steps--;
		pass = true;
	}
	spin_unlock(&gate->lock);
	return pass;
}

/* The calls' side of a gate: returns 0, or the error to fail with. */
int sim_gate_pass(struct sim_gate *gate)
{
	bool firm;
	int ret = 0;

	spin_lock(&gate->lock);
	gate->started++;
	firm = gate->firm;
	spin_unlock(&gate->lock);
	wake_up_all(&gate->wait);

	if (firm)
		wait_event(gate->wait, sim_gate_try(gate));
	else
		ret = wait_event_killable(gate->wait, sim_gate_try(gate)) ? -EINTR : 0;

	spin_lock(&gate->lock);
	gate->finished++;
	if (!ret && gate->fail_count) {
		gate->fail_count--;
		ret = gate->fail_error;
	}
	spin_unlock(&gate->lock);
	return ret;
}

static void sim_gate_open(struct sim_gate *gate)
{
	spin_lock(&gate->lock);
	gate->held = false;
	gate->steps = 0;
	spin_unlock(&gate->lock);
	wake_up_all(&gate->wait);
}

/* A process closes a descriptor: ends the hold if it was made through that. */
void sim_gate_flush(struct sim_gate *gate, const struct file *file, fl_owner_t owner)
{
	bool mine;

	spin_lock(&gate->lock);
	mine = gate->held && sim_holder_is(&gate->holder, file, owner);
	spin_unlock(&gate->lock);
	if (mine)
		sim_gate_open(gate);
}

static bool sim_gate_has_started(struct sim_gate *gate, u32 count)
{
	return READ_ONCE(gate->started) >= count;
}

/* The tests' side of a gate. */
long sim_gate_ioctl(struct sim_gate *gate, const struct file *file, unsigned int cmd,
		    const struct sim_gate_arg *arg)
{
	if (arg->error < 0 || arg->error > MAX_ERRNO)
		return -EINVAL;
	if (cmd == SIM_IOC_WAIT_STARTED)
		return wait_event_killable(gate->wait,
					   sim_gate_has_started(gate, arg->count));
	if (cmd == SIM_IOC_RELEASE) {
		sim_gate_open(gate);
		return 0;
	}

	spin_lock(&gate->lock);
	switch (cmd) {
	case SIM_IOC_HOLD:
	case SIM_IOC_HOLD_USER:
		gate->holder = sim_holder(file);
		gate->held = true;
		gate->firm = arg->count;
		gate->one_user = cmd == SIM_IOC_HOLD_USER;
		gate->user = make_kuid(&init_user_ns, arg->user);
		gate->steps = 0;
		break;
	case SIM_IOC_STEP:
		gate->steps += arg->count;
		break;
	case SIM_IOC_FAIL:
		gate->fail_count = arg->count;
		gate->fail_error = -arg->error;
		break;
	}
	spin_unlock(&gate->lock);
	wake_up_all(&gate->wait);
	return 0;
}
