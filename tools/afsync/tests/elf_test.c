// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading ELF programs: this one, broken ones and hostile ones. A crash or a hang of this
 * program is the failure that most of it looks for.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afsync.h"
#include "tap.h"

#define Elf_Ehdr	ElfW(Ehdr)
#define Elf_Phdr	ElfW(Phdr)

/* This program, and a copy in memory to be spoilt. */
static unsigned char *self;
static size_t size;
static int copy;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void take_copy(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;

	must(fd >= 0 && !fstat(fd, &st));
	size = (size_t)st.st_size;
	self = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	copy = memfd_create("elf", MFD_CLOEXEC);
	must(self != MAP_FAILED && copy >= 0);
	close(fd);
}

static void restore(void)
{
	must(!ftruncate(copy, (off_t)size));
	must(pwrite(copy, self, size, 0) == (ssize_t)size);
}

static void put(const void *bytes, size_t n, uint64_t at)
{
	must(pwrite(copy, bytes, n, (off_t)at) == (ssize_t)n);
}

static Elf_Phdr *segment_of_self(unsigned int type, uint64_t *at)
{
	Elf_Ehdr *head = (Elf_Ehdr *)self;
	Elf_Phdr *s = (Elf_Phdr *)(self + head->e_phoff);
	unsigned int i;

	for (i = 0; i < head->e_phnum; i++, s++) {
		*at = head->e_phoff + i * sizeof(*s);
		if (s->p_type == type)
			return s;
	}
	abort();
}

static void whole_program(void)
{
	const Elf_Ehdr *head = (const Elf_Ehdr *)self;
	struct elf_facts facts;
	uint64_t at;
	Elf_Phdr *interp = segment_of_self(PT_INTERP, &at);

	restore();
	tap(elf_read(copy, &facts) && facts.native && facts.class == head->e_ident[EI_CLASS] &&
	    facts.machine == head->e_machine, "class_and_machine_are_read");
	tap(facts.has_interpreter && !access(facts.interpreter, X_OK) &&
	    !strcmp(facts.interpreter, (char *)self + interp->p_offset),
	    "interpreter_is_read");
	tap(!facts.sanitizer, "plain_program_has_no_sanitizer");
}

/* A name of the table of strings becomes that of a sanitizer. */
static bool sanitizer_is(const char *old, const char *new, const char *expected)
{
	unsigned char *at = memmem(self, size, old, strlen(old) + 1);
	struct elf_facts facts;

	must(at && strlen(new) <= strlen(old));
	restore();
	put(new, strlen(new) + 1, (uint64_t)(at - self));
	must(elf_read(copy, &facts));
	return expected ? facts.sanitizer && !strcmp(facts.sanitizer, expected) :
	       !facts.sanitizer;
}

static void sanitizers(void)
{
	/* A string of the table that is long enough, and follows a NUL. */
	static const char old[] = "__libc_start_main";

	tap(sanitizer_is(old, "__asan_init", "AddressSanitizer") &&
	    sanitizer_is(old, "__tsan_init", "ThreadSanitizer") &&
	    sanitizer_is(old, "__msan_init", "MemorySanitizer") &&
	    sanitizer_is(old, "libasan.so.8", "AddressSanitizer") &&
	    sanitizer_is(old, "libtsan.so.2", "ThreadSanitizer"),
	    "sanitizers_are_known_by_library_and_by_symbol");
	tap(sanitizer_is(old, "__asan_initial", NULL) && sanitizer_is(old, "_asan_init", NULL) &&
	    sanitizer_is(old, "liblibasan.so.8", NULL), "other_names_are_no_sanitizers");
}

static void foreign(void)
{
	struct elf_facts facts;

	restore();
	put((const unsigned char[]){ __ELF_NATIVE_CLASS == 64 ? ELFCLASS32 : ELFCLASS64 }, 1,
	    EI_CLASS);
	tap(elf_read(copy, &facts) && !facts.native && !facts.has_interpreter,
	    "of_a_program_of_another_class_only_that_is_read");
	restore();
	put("X", 1, 1);
	tap(!elf_read(copy, &facts), "what_is_no_elf_file_is_refused");
	restore();
	put((const uint16_t[]){ ET_CORE }, 2, offsetof(Elf_Ehdr, e_type));
	tap(!elf_read(copy, &facts), "what_is_no_program_is_refused");
}

static void truncated(void)
{
	struct elf_facts facts;
	size_t n;

	restore();
	for (n = size; n > 8192; n -= n > 16384 ? 4096 : 61) {
		must(!ftruncate(copy, (off_t)n));
		elf_read(copy, &facts);
	}
	while (n--) {
		must(!ftruncate(copy, (off_t)n));
		elf_read(copy, &facts);
	}
	tap(!elf_read(copy, &facts), "file_may_end_anywhere");
}

/* Every number of the headers and of the dynamic section, one after the other. */
static void extreme_numbers(void)
{
	static const uint64_t numbers[] = {
		0, 1, 31, 32, 4096, 65536, INT32_MAX, UINT32_MAX, 1ULL << 32, INT64_MAX,
		INT64_MAX - 63, UINT64_MAX, UINT64_MAX - 4095,
	};
	const Elf_Ehdr *head = (const Elf_Ehdr *)self;
	struct elf_facts facts;
	uint64_t at, place, end;
	const Elf_Phdr *dynamic = segment_of_self(PT_DYNAMIC, &at);
	unsigned int i, part;

	for (part = 0; part < 2; part++) {
		place = part ? dynamic->p_offset : 16;
		end = part ? dynamic->p_offset + dynamic->p_filesz :
			     head->e_phoff + head->e_phnum * sizeof(Elf_Phdr);
		for (; place + 8 <= end; place += 4) {
			for (i = 0; i < ARRAY_SIZE(numbers); i++) {
				restore();
				put(&numbers[i], place % 8 ? 4 : 8, place);
				elf_read(copy, &facts);
			}
		}
	}
	tap(true, "numbers_may_be_anything");
}

static void random_bytes(void)
{
	const Elf_Ehdr *head = (const Elf_Ehdr *)self;
	size_t headers = head->e_phoff + head->e_phnum * sizeof(Elf_Phdr);
	struct elf_facts facts;
	unsigned int round, i;
	unsigned char byte;
	uint64_t at;
	const Elf_Phdr *dynamic = segment_of_self(PT_DYNAMIC, &at);

	srandom(1);
	for (round = 0; round < 20000; round++) {
		if (round % 50 == 0)
			restore();
		for (i = 0; i < 1 + round % 4; i++) {
			byte = (unsigned char)random();
			at = random() % 2 ? EI_CLASS + (size_t)random() % headers :
			     dynamic->p_offset + (size_t)random() % dynamic->p_filesz;
			put(&byte, 1, at);
		}
		/* Half of the rounds pass the check of the first bytes. */
		if (round % 2)
			put(self, 6, 0);
		elf_read(copy, &facts);
	}
	tap(true, "bytes_may_be_anything");
}

int main(void)
{
	take_copy();
	whole_program();
	sanitizers();
	foreign();
	truncated();
	extreme_numbers();
	random_bytes();
	return tap_end();
}
