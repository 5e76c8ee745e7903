// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failing steps of the module's init: all of them in three rounds (ROUNDS=3). A process whose
 * nth allocation or copy fails loads the module from memory. Failures before init begins
 * would be the kernel's own, and its tracing warns of them: kprobe events show where init
 * begins and ends among them.
 *
 * Needs AFSYNC_KO in the environment, and kprobe events. Loads the module anew each time
 * and leaves it loaded.
 */
#include "points.h"

#include <sys/wait.h>

#define TRACING		"/sys/kernel/tracing/"
#define KMEMLEAK	FAULTS "kmemleak"
#define FAR		100000	/* a step that no call has */
#define CALIBRATIONS	3
#define STRIDE		3	/* loading takes long: a round takes every third point */

/* The points that can fail, and the calls that enclose them and the init. */
static const char * const probes[] = {
	"p:fault/point should_fail_ex",
	"r:fault/set proc_fail_nth_write",
	"p:fault/begin do_one_initcall",
	"r:fault/end do_one_initcall",
	"p:fault/read proc_fail_nth_read",
};

/**
 * struct loaded - one try to load the module
 * @ret: 0 or -errno
 * @left: the value of fail-nth afterwards: 0 if something failed
 * @before: points before init began
 * @init: points in init
 * @after: points after it
 */
struct loaded {
	int ret;
	unsigned int left;
	unsigned int before;
	unsigned int init;
	unsigned int after;
};

FIXTURE(init) {
	void *image;
	size_t size;
	struct loaded *loaded;	/* shared with the process that loads */
};

static int module_load(const void *image, size_t size)
{
	return syscall(SYS_init_module, image, size, "") ? -errno : 0;
}

/* The kernel may hold a file for a moment after its close. */
static void module_unload(void)
{
	while (syscall(SYS_delete_module, "afsync", O_NONBLOCK))
		need(errno == EAGAIN || errno == EBUSY);
}

static void image_read(FIXTURE_DATA(init) *self, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	need(fd >= 0 && fstat(fd, &st) == 0);
	self->size = st.st_size;
	self->image = malloc(self->size);
	need(self->image && read(fd, self->image, self->size) == st.st_size);
	close(fd);
}

/* The same as "> file" in a shell. */
static void empty(const char *path)
{
	close(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static bool probes_ready(void)
{
	unsigned int i;
	int fd, ret;

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		fd = open(TRACING "kprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0)
			return false;
		ret = write(fd, probes[i], strlen(probes[i]));
		close(fd);
		if (ret < 0)
			return false;
	}
	return !text_write(TRACING "events/fault/enable", "1");
}

FIXTURE_SETUP(init)
{
	if (!getenv("AFSYNC_KO"))
		SKIP(exit(255), "no module to load: set AFSYNC_KO");
	if (!faults_ready())
		SKIP(exit(255), "no fault injection in this kernel");
	if (!probes_ready())
		SKIP(exit(255), "no kprobe events in this kernel");
	/* Which call needs a new page for slabs varies from run to run. */
	need(text_write(FAULTS "fail_page_alloc/min-order", "100") == 0);
	image_read(self, getenv("AFSYNC_KO"));
	self->loaded = mmap(NULL, sizeof(*self->loaded), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(self->loaded != MAP_FAILED);
	module_unload();
}

FIXTURE_TEARDOWN(init)
{
	text_write(TRACING "events/fault/enable", "0");
	empty(TRACING "set_event_pid");
	empty(TRACING "kprobe_events");
	text_write(FAULTS "fail_page_alloc/min-order", "1");
	if (access("/sys/module/afsync", F_OK))
		need(module_load(self->image, self->size) == 0);
}

/* In a process of its own. */
static void load_with_failure(FIXTURE_DATA(init) *self, const struct turn *go, unsigned int nth)
{
	char text[16] = "";

	stay_on_this_cpu();
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	need(fail_nth_fd >= 0 && mlockall(MCL_CURRENT) == 0);
	turn_wait((struct turn *)go, 1);
	fault_set(nth);
	self->loaded->ret = module_load(self->image, self->size);
	/* This copy itself may fail. */
	while (pread(fail_nth_fd, text, sizeof(text) - 1, 0) <= 0)
		;
	self->loaded->left = atoi(text);
	fault_set(0);
	_exit(0);
}

/* Counts the points of the trace, between setting and reading fail-nth. */
static void count_points(struct loaded *loaded)
{
	char *text = text_read(TRACING "trace"), *line, *rest = text;
	unsigned int *count = NULL;

	while ((line = strsep(&rest, "\n"))) {
		if (strstr(line, " set: ") && !loaded->before)
			count = &loaded->before;
		else if (strstr(line, " begin: "))
			count = &loaded->init;
		else if (strstr(line, " end: "))
			count = &loaded->after;
		else if (strstr(line, " read: "))
			break;
		else if (count && strstr(line, " point: "))
			++*count;
	}
	free(text);
}

static struct loaded load(FIXTURE_DATA(init) *self, unsigned int nth)
{
	struct turn go;
	char text[16];
	pid_t pid;

	memset(self->loaded, 0, sizeof(*self->loaded));
	turn_init(&go);
	pid = fork();
	need(pid >= 0);
	if (!pid)
		load_with_failure(self, &go, nth);
	snprintf(text, sizeof(text), "%d", pid);
	empty(TRACING "set_event_pid");
	need(text_write(TRACING "set_event_pid", text) == 0);
	empty(TRACING "trace");
	turn_post(&go);
	need(child_wait(pid) == 0);
	close(go.fds[0]);
	close(go.fds[1]);
	count_points(self->loaded);
	return *self->loaded;
}

/* A ring takes a sync and completes it. */
static bool device_works(void)
{
	int file = memfd_create("afsync-fault", MFD_CLOEXEC);
	struct ring ring;
	bool works;

	ring_open(&ring, 8);
	works = ring_queue(&ring, file, AFSYNC_OP_FSYNC, 1) == 1 && ring_next(&ring).res == 0;
	ring_close(&ring);
	close(file);
	return works;
}

static bool all_is_gone(void)
{
	return access("/sys/module/afsync", F_OK) && access(DEVICE, F_OK) &&
	       access("/sys/class/misc/afsync", F_OK) && access(FAULTS "afsync", F_OK);
}

/*
 * The kernel itself forgets the name of a slab cache that it could not show in sysfs. The
 * test ignores that in the report of kmemleak at the end; anything else is a leak of the
 * module.
 */
static unsigned int leaks_of_init(void)
{
	char *text, *report, *next;
	unsigned int leaks = 0;

	if (access(KMEMLEAK, F_OK))
		return 0;
	/* Objects younger than 5 s are not reported, and a first scan only makes candidates. */
	need(text_write(KMEMLEAK, "scan") == 0);
	sleep(6);
	need(text_write(KMEMLEAK, "scan") == 0);
	text = text_read(KMEMLEAK);
	for (report = strstr(text, "unreferenced object"); report; report = next) {
		next = strstr(report + 1, "unreferenced object");
		if (next)
			next[-1] = '\0';
		if (strstr(report, "__kmem_cache_create"))
			continue;
		fprintf(stderr, "# %s\n", report);
		leaks++;
	}
	free(text);
	need(text_write(KMEMLEAK, "clear") == 0);
	return leaks;
}

/* The first point that is in init for certain: the number before it varies a little. */
static unsigned int first_point(FIXTURE_DATA(init) *self)
{
	unsigned int i, all, first = 0;
	struct loaded loaded;

	for (i = 0; i < CALIBRATIONS; i++) {
		loaded = load(self, FAR);
		need(loaded.ret == 0 && device_works());
		module_unload();
		all = loaded.before + loaded.init + loaded.after;
		fprintf(stderr, "# %u points; of %u in the trace %u before init, %u in it\n",
			FAR - loaded.left, all, loaded.before, loaded.init);
		/* The trace has all points, and in interrupts possibly more. */
		need(loaded.init && all >= FAR - loaded.left);
		if (loaded.before + 1 > first)
			first = loaded.before + 1;
	}
	return first;
}

TEST_F_TIMEOUT(init, that_failed_leaves_nothing_and_the_next_one_works, LONG_TIMEOUT)
{
	unsigned int first = first_point(self), round, nth, points = 0, refused = 0;
	struct loaded loaded;

	for (round = 0; round < rounds_wanted(); round++) {
		/* After one that failed, the next step is another try. */
		for (nth = first + round % STRIDE;; nth += STRIDE) {
			loaded = load(self, nth);
			if (!loaded.ret) {
				ASSERT_TRUE(device_works());
				module_unload();
			}
			ASSERT_TRUE(all_is_gone())
				TH_LOG("point %u", nth);
			if (loaded.left || nth > loaded.before + loaded.init)
				break;
			points++;
			refused += loaded.ret < 0;
			EXPECT_TRUE(!loaded.ret || loaded.ret == -ENOMEM)
				TH_LOG("point %u: %d", nth, loaded.ret);
		}
		EXPECT_EQ(0, loaded.ret);
	}
	fprintf(stderr, "# init: %u points, %u refused; it begins behind point %u\n", points,
		refused, first - 1);
	walked_add(points);
	EXPECT_NE(0, refused);
	EXPECT_EQ(0, leaks_of_init());
}

TEST_HARNESS_MAIN
