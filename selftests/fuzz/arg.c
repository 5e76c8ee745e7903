// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of the structs, and the ioctl itself. Does not depend on the command.
 */
#include "world.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096

const char *const place_names[NR_PLACES] = {
	"plain", "misaligned", "edge", "read-only", "across", "null", "kernel",
};

void memory_open(struct world *w, struct memory *memory, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(w, fd >= 0 && !ftruncate(fd, size));
	memory->size = size;
	memory->rw = mmap(NULL, size + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory->ro = mmap(NULL, size + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(w, memory->rw != MAP_FAILED && memory->ro != MAP_FAILED);
	must(w, mmap(memory->rw, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
		MAP_FAILED);
	must(w, mmap(memory->ro, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	close(fd);
}

static enum place choose_place(struct world *w, bool good)
{
	unsigned int dice = below(w, 64);

	if (good)
		return dice < 48 ? PLACE_PLAIN : dice < 56 ? PLACE_ODD : PLACE_EDGE;
	return PLACE_READ_ONLY + dice % (NR_PLACES - PLACE_READ_ONLY);
}

void arg_place(struct world *w, struct memory *memory, struct arg *arg, size_t size, bool good)
{
	size_t at = memory->size - size;
	unsigned int dice = below(w, 4096);

	arg->place = choose_place(w, good);
	arg->readable = size;
	switch (arg->place) {
	case PLACE_PLAIN:
	case PLACE_READ_ONLY:
		at = at / 2 & ~63UL;
		break;
	case PLACE_ODD:
		at = (at / 2 & ~63UL) + 1 + dice % 7;
		if (at > memory->size - size)
			at = memory->size - size;
		break;
	case PLACE_ACROSS:
		arg->readable = size ? dice % size : 0;
		at = memory->size - arg->readable;
		break;
	case PLACE_NULL:
	case PLACE_KERNEL:
		arg->readable = 0;
		arg->local = NULL;
		arg->at = arg->place == PLACE_NULL ? (char *)(size_t)(dice % 16) :
			  (char *)(0xffff800000000000UL + dice * 8);
		return;
	default:
		break;
	}
	arg->local = memory->rw + at;
	arg->at = (arg->place == PLACE_READ_ONLY ? memory->ro : memory->rw) + at;
}

void arg_choose(struct world *w, struct arg *arg, size_t size, size_t min)
{
	unsigned int dice = below(w, 64), more = 1 + below(w, 80);
	bool good = !one_in(w, 24);

	*arg = (struct arg) { .size = size };
	if (dice == 0)
		arg->size = more % (size + 1);
	else if (dice < 4 && min < size)
		arg->size = min + more % (size - min);
	else if (dice < 8)
		arg->size = size + more;
	arg->dirty = dice == 4 && arg->size > size;
	arg_place(w, &w->memory, arg, arg->size, good || dice < 8);
}

int arg_errno(const struct arg *arg, size_t min, bool in, bool out)
{
	if (arg->size < min)
		return EINVAL;
	if (arg->readable < arg->size && (in || out))
		return EFAULT;
	if (in && arg->dirty)
		return E2BIG;
	if (out && arg->place == PLACE_READ_ONLY)
		return EFAULT;
	return 0;
}

static void note_struct(struct world *w, unsigned int cmd, const struct arg *arg,
			const void *fields, size_t size)
{
	struct note *note = &w->note;

	note->cmd = cmd;
	note->size = arg->size;
	note->place = place_names[arg->place];
	memcpy(note->bytes, fields, size < sizeof(note->bytes) ? size : sizeof(note->bytes));
}

long arg_ioctl(struct world *w, int fd, unsigned int cmd, struct arg *arg, void *fields,
	       size_t size)
{
	size_t some = arg->size < size ? arg->size : size;
	unsigned int sized = (cmd & ~(_IOC_SIZEMASK << _IOC_SIZESHIFT)) |
			     (unsigned int)arg->size << _IOC_SIZESHIFT;
	long ret;

	note_struct(w, sized, arg, fields, size);
	if (arg->local && arg->readable) {
		memset(arg->local, 0, arg->readable);
		memcpy(arg->local, fields, some < arg->readable ? some : arg->readable);
		if (arg->dirty)
			arg->local[arg->size - 1] = 1;
	}
	ret = ioctl(fd, sized, arg->at);
	if (ret < 0)
		ret = -errno;
	if (arg->local)
		memcpy(fields, arg->local, some < arg->readable ? some : arg->readable);
	return ret;
}
