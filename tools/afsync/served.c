// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can the drop-in libraries be loaded into a program, as far as its file shows?
 * That is the program as execvp(3) finds it, or a script's interpreter. When in
 * doubt they can; then the program runs as it did without this check.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <elf.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "afsync.h"

#define HEAD_SIZE	256	/* the kernel reads as much of a script */
#define MAX_SCRIPTS	5

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && !eaccess(path, X_OK);
}

/* The file that execvp() would run; @path has room for PATH_MAX bytes. */
static bool find_program(char *path, const char *program)
{
	const char *dirs = getenv("PATH"), *end;

	if (strchr(program, '/'))
		return snprintf(path, PATH_MAX, "%s", program) < PATH_MAX && is_program(path);
	for (dirs = dirs ? dirs : "/bin:/usr/bin"; ; dirs = end + 1) {
		end = strchrnul(dirs, ':');
		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - dirs), dirs,
			     end > dirs ? "/" : "", program) < PATH_MAX && is_program(path))
			return true;
		if (!*end)
			return false;
	}
}

static bool elf_of(const char *path, struct elf_facts *facts)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool ok = fd >= 0 && elf_read(fd, facts);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* The path behind "#!", false if there is none. @path has room for HEAD_SIZE bytes. */
static bool script_interpreter(const char *script, char *path)
{
	char head[HEAD_SIZE] = "", *start;
	int fd = open(script, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 3 || memcmp(head, "#!", 2))
		return false;
	start = head + 2 + strspn(head + 2, " \t");
	start[strcspn(start, " \t\n")] = '\0';
	strcpy(path, start);
	return *path;
}

/* Set-user-ID and the like: ld.so(8) then ignores LD_PRELOAD. */
static bool gains_rights(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) || statvfs(path, &fs) || fs.f_flag & ST_NOSUID ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	return (st.st_mode & S_ISUID && st.st_uid != getuid()) ||
	       ((st.st_mode & (S_ISGID | 0010)) == (S_ISGID | 0010) &&
		st.st_gid != getgid()) ||
	       (getuid() && getxattr(path, "security.capability", NULL, 0) > 0);
}

static bool same_file(const char *a, const char *b)
{
	struct stat of_a, of_b;

	return !stat(a, &of_a) && !stat(b, &of_b) && of_a.st_dev == of_b.st_dev &&
	       of_a.st_ino == of_b.st_ino;
}

/* It has another dynamic linker than this command. */
static enum served judge_interpreter(const char *path, const struct elf_facts *program,
				     char *why)
{
	struct elf_facts own;

	if (!elf_of("/proc/self/exe", &own) || !*own.interpreter)
		return SERVED;
	if (!program->has_interpreter) {
		/* It can be run as a program, too, and knows LD_PRELOAD. */
		if (same_file(path, own.interpreter))
			return SERVED;
		snprintf(why, WHY_SIZE, "it is linked statically");
		return SERVED_CHILDREN;
	}
	/* One that is not there, or that cannot be read: let the exec fail. */
	if (access(program->interpreter, F_OK) || same_file(program->interpreter, own.interpreter))
		return SERVED;
	snprintf(why, WHY_SIZE, "its dynamic linker is %s", program->interpreter);
	return SERVED_NOT;
}

static enum served judge(const char *path, const char *library, char *why)
{
	struct elf_facts program, libs;

	if (gains_rights(path)) {
		snprintf(why, WHY_SIZE, "it runs with more rights than its caller");
		return SERVED_NOT;
	}
	if (!elf_of(path, &program) || !elf_of(library, &libs))
		return SERVED;
	if (program.class != libs.class || program.data != libs.data ||
	    program.machine != libs.machine) {
		if (program.class == ELFCLASS32 && libs.class == ELFCLASS64)
			snprintf(why, WHY_SIZE, "it is a 32-bit program");
		else
			snprintf(why, WHY_SIZE, "it is a program for another machine");
		return SERVED_NOT;
	}
	if (!program.native)
		return SERVED;
	if (program.sanitizer) {
		snprintf(why, WHY_SIZE, "it is built with %s", program.sanitizer);
		return SERVED_NOT;
	}
	return judge_interpreter(path, &program, why);
}

/*
 * @library is one of the drop-ins. If not SERVED, @why is the reason, and @path the file:
 * @program as it was given, or the interpreter of a script. @path has room for
 * PATH_MAX bytes, @why for WHY_SIZE.
 */
enum served program_served(const char *program, const char *library, char *path, char *why)
{
	char interpreter[HEAD_SIZE];
	enum served served;
	int i;

	if (!find_program(path, program))
		return SERVED;
	for (i = 0; script_interpreter(path, interpreter); i++) {
		if (i == MAX_SCRIPTS)
			return SERVED;
		strcpy(path, interpreter);
	}
	served = judge(path, library, why);
	if (!i)
		strcpy(path, program);
	return served;
}
