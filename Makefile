# SPDX-License-Identifier: GPL-2.0-only
#
# afsync: asynchronous fsync for every program. 'make help' lists the targets.
#
# Variables:
#	KVER, KDIR	the kernel to build the module for: its release, or the folder of
#			its headers (the running kernel; Debian's, if that has no headers)
#	LLVM=1		build the module with clang
#	V=1		show the commands
#	CC, CFLAGS, LDFLAGS	for the library and the programs
#	DESTDIR, prefix, bindir, libdir, includedir, mandir, moduledir	for install and uninstall
# For vm:	CMD, ADD, DEBUG, KERNEL, MEM, TIMEOUT; for check: STAGES, TESTS;
#		for bench: QUICK, BOOTS.

KVER ?=
KDIR ?=
prefix ?= /usr/local
mandir ?= $(prefix)/share/man
moduledir ?= /lib/modules
INSTALL ?= install

# Only there: the tests install with a prefix of their own.
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export prefix := $(prefix)
install uninstall: export mandir := $(mandir)
check selftests selftests-debug: export TESTS := $(TESTS)
check selftests selftests-debug: export KERNEL := $(KERNEL)

Q := $(if $(V),,@)
SUB := +$(Q)$(MAKE) --no-print-directory -C
LIBS := tools/lib/afsync $(patsubst %/Makefile,%,$(wildcard tools/lib/afsync-*/Makefile))
MAN4 := $(wildcard Documentation/man/*.4)
LOAD := $(DESTDIR)$(prefix)/lib/modules-load.d/afsync.conf

all: modules lib tools ## build the module, the library and the command

modules: ## build afsync.ko (KVER=, KDIR=, LLVM=1)
	+$(Q)scripts/build-modules.sh $(or $(KDIR),$(KVER)) >/dev/null

lib: $(LIBS:%=%/all) ## build libafsync and the drop-in libraries

$(LIBS:%=%/all) $(LIBS:%=%/install) $(LIBS:%=%/uninstall):
	$(SUB) $(@D) $(@F)
$(LIBS:%=%/install): %/install: %/all

tools: lib ## build the afsync command and the demo's programs
	$(SUB) tools/afsync all

tests: ## build the selftests
	$(SUB) selftests all

setup: ## install the packages that are missing, fetch the kernels (asks nothing)
	$(Q)scripts/setup.sh

demo: setup tools ## see it work: Debian's kernel in QEMU, thousands of files and a log made durable
	+$(Q)scripts/build-modules.sh debian >/dev/null
	$(Q)scripts/demo.sh

bench: export BENCH_SIZE = $(if $(filter-out 0,$(QUICK)),quick,full)
bench: export BENCH_BOOTS = $(BOOTS)
bench: setup bench-programs ## afsync and its peers on the same work, in virtual time (QUICK=1, BOOTS=)
	+$(Q)scripts/build-modules.sh debian >/dev/null
	$(Q)scripts/bench.sh

bench-preemption: setup bench-programs ## how long the device keeps a CPU from other threads
	+$(Q)scripts/build-modules.sh debian >/dev/null
	$(Q)scripts/bench-preemption.sh

bench-doc: ## put the results of the last 'make bench' into the documentation
	$(Q)scripts/bench-doc.py build/bench Documentation/afsync

bench-programs: lib
	$(SUB) tools/bench all

check: setup ## run all tests on Debian's kernel and on a debug kernel (STAGES=, TESTS=)
	$(Q)scripts/check.sh $(STAGES)

check-static: setup ## only the static checks
	$(Q)scripts/check.sh static

check-unit: setup ## only the tests that need no device
	$(Q)scripts/check.sh unit

selftests: setup ## only the selftests, on Debian's kernel (TESTS="order_test merge_test" KERNEL=)
	$(Q)scripts/check.sh selftests

selftests-debug: setup ## only the selftests, on the debug kernel
	$(Q)scripts/check.sh selftests-debug

# CMD as it was written: what is in it is for the guest's shell.
vm: export VM_CMD = $(value CMD)
vm: VM_KERNEL = $(or $(KERNEL),$(if $(DEBUG),debug,debian))
vm: setup ## a shell in a VM with the module loaded; CMD='...' runs that (ADD= DEBUG=1 KERNEL= MEM= TIMEOUT=)
	+$(Q)$(MAKE) --no-print-directory tools >&2
	+$(Q)scripts/build-modules.sh $(or $(KDIR),$(VM_KERNEL)) >/dev/null
	$(Q)scripts/vm.sh --no-sim --name vm --kernel $(VM_KERNEL) $(if $(MEM),--mem $(MEM)) \
		$(if $(TIMEOUT),--timeout $(TIMEOUT)) $(foreach path,$(ADD),--add $(path)) \
		-- $(if $(VM_CMD),"$$VM_CMD")

install: lib tools install-module $(LIBS:%=%/install) ## install below $(DESTDIR)$(prefix), the module below $(DESTDIR)/lib/modules
	$(SUB) tools/afsync install
	$(Q)$(INSTALL) -d $(DESTDIR)$(mandir)/man4 $(dir $(LOAD))
	$(Q)$(if $(MAN4),$(INSTALL) -m 644 $(MAN4) $(DESTDIR)$(mandir)/man4)
	$(Q)printf '# The device /dev/afsync, from the start of the machine on.\nafsync\n' >$(LOAD)
	$(Q)chmod 644 $(LOAD)
	$(Q)$(if $(DESTDIR),,ldconfig)

install-module: ## install only the module
	+$(Q)out=$$(scripts/build-modules.sh $(or $(KDIR),$(KVER))) && release=$${out##*/modules-} && \
		$(INSTALL) -d "$(DESTDIR)$(moduledir)/$$release/extra" && \
		$(INSTALL) -m 644 "$$out/drivers/afsync/afsync.ko" "$(DESTDIR)$(moduledir)/$$release/extra/" \
		$(if $(DESTDIR),,&& depmod "$$release")

uninstall: $(LIBS:%=%/uninstall) ## remove what install put there, the module for every kernel
	$(SUB) tools/afsync uninstall
	$(Q)rm -f $(LOAD) $(patsubst Documentation/man/%,$(DESTDIR)$(mandir)/man4/%,$(MAN4))
	$(Q)for ko in $(DESTDIR)$(moduledir)/*/extra/afsync.ko; do \
		[ -e "$$ko" ] || continue; \
		rm -f "$$ko"; \
		rmdir --ignore-fail-on-non-empty "$${ko%/*}"; \
		$(if $(DESTDIR),:,release=$${ko%/extra/*}; depmod "$${release##*/}"); \
	done
	$(Q)$(if $(DESTDIR),,ldconfig)

clean: ## remove everything that was built (kernels stay in the cache)
	$(Q)rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: see the top of the Makefile."

.PHONY: all modules lib tools tests setup demo bench bench-preemption bench-doc bench-programs check check-static \
	check-unit selftests selftests-debug vm install install-module uninstall clean help \
	$(foreach target,all install uninstall,$(LIBS:%=%/$(target)))
.DEFAULT_GOAL := all
