# SPDX-License-Identifier: GPL-2.0-only
#
# afsync: asynchronous fsync for every program. 'make help' lists the targets.
#
# Variables:
#	KVER, KDIR	the kernel to build the module for: its release, or the directory of
#			its headers (the running kernel; Debian's, if that has no headers)
#	LLVM=1		build the module with clang
#	V=1		show the commands
#	CC, CFLAGS, LDFLAGS	for the library and the programs
#	DESTDIR, prefix, bindir, libdir, includedir, mandir, moduledir, STRIP	for install
#			and uninstall
# For setup:	SETS, see scripts/setup.sh --help
# For vm:	CMD, ADD, DEBUG, KERNEL, MEM, TIMEOUT; for check: STAGES, TESTS, FULL;
#		for check-kernels: KERNELS, TESTS; for check-arch: ARCHS; for check-in-tree: TESTS;
#		for check-sanitizers: TOOLS, TESTS; for check-crash: POINTS, SEED;
#		for check-twin: POINTS, SEED, KERNEL; for check-fault: ROUNDS, TESTS;
#		for check-fuzz: CALLS, SEED, KERNEL; for mutants: MUTANTS; for coverage: PARTS,
#		TESTS; for soak: SECONDS, SEED;
#		for bench: QUICK, BOOTS; for bench-gate: RENEW; for integrations: CUTS, SEED;
#		for packages-check: QUICK, SUITES.

ifneq ($(words $(subst :, ,$(CURDIR))),1)
$(error The kernel's build takes no space and no colon in a path: move this directory, $(CURDIR))
endif

KVER ?=
KDIR ?=
prefix ?= /usr/local
mandir ?= $(prefix)/share/man
moduledir ?= /lib/modules
INSTALL ?= install
STRIP ?= strip

# Exported only for these targets: the tests install with a prefix of their own.
install install-user uninstall: export DESTDIR := $(DESTDIR)
install install-user uninstall: export prefix := $(prefix)
install install-user uninstall: export mandir := $(mandir)
check check-kernels selftests selftests-debug: export TESTS := $(TESTS)
check: export FULL := $(FULL)
check selftests selftests-debug: export KERNEL := $(KERNEL)

Q := $(if $(V),,@)
SUB := +$(Q)$(MAKE) --no-print-directory -C
LIBS := tools/lib/afsync $(patsubst %/Makefile,%,$(wildcard tools/lib/afsync-*/Makefile))
MAN4 := $(wildcard Documentation/man/*.4)
LOAD := $(DESTDIR)$(prefix)/lib/modules-load.d/afsync.conf
RULES := $(DESTDIR)$(prefix)/lib/udev/rules.d/60-afsync.rules
GROUP := $(DESTDIR)$(prefix)/lib/sysusers.d/afsync.conf

all: modules lib tools ## build the module, the library and the command

modules: ## build afsync.ko (KVER=, KDIR=, LLVM=1)
	+$(Q)scripts/kernel/build-modules.sh $(or $(KDIR),$(KVER)) >/dev/null

lib: $(LIBS:%=%/all) ## build libafsync and the drop-in libraries

$(LIBS:%=%/all) $(LIBS:%=%/install) $(LIBS:%=%/uninstall):
	$(SUB) $(@D) $(@F)
$(LIBS:%=%/install): %/install: %/all

tools: lib ## build the afsync command
	$(SUB) tools/afsync all

tests: ## build the selftests
	$(SUB) selftests all

setup: ## install the packages that are missing, fetch the kernels (asks nothing; SETS=)
	$(Q)scripts/setup.sh $(SETS)

# Each target below installs its own set.
setup-%:
	$(Q)scripts/setup.sh $*

demo: setup-demo tools demo-programs ## see it work: Debian's kernel in QEMU, thousands of files and a log made durable
	+$(Q)scripts/kernel/build-modules.sh debian >/dev/null
	$(Q)scripts/demo.sh

bench: export BENCH_SIZE = $(if $(filter-out 0,$(QUICK)),quick,full)
bench: export BENCH_BOOTS = $(BOOTS)
bench: setup-bench bench-programs ## afsync and its peers on the same work, in virtual time (QUICK=1, BOOTS=)
	+$(Q)scripts/kernel/build-modules.sh debian >/dev/null
	$(Q)scripts/bench.sh

bench-gate: export RENEW := $(RENEW)
bench-gate: setup-bench bench-programs ## has a change made afsync slower? (RENEW=1 writes the figures that it compares with)
	+$(Q)scripts/kernel/build-modules.sh debian >/dev/null
	$(Q)scripts/bench/gate.sh

bench-fio: setup-vm fio ## fio's engines and ours on the same work, in virtual time
	+$(Q)scripts/kernel/build-modules.sh debian >/dev/null
	$(Q)scripts/bench/fio.sh

bench-preemption: setup-bench bench-programs ## how long the device keeps a CPU from other threads
	+$(Q)scripts/kernel/build-modules.sh debian >/dev/null
	$(Q)scripts/bench/preemption.sh

fio: setup-fio ## fio's engine for libafsync, build/tools/fio/afsync.so
	$(SUB) tools/fio all

integrations: export CUTS := $(CUTS)
integrations: export SEED := $(SEED)
integrations: setup-integrations lib ## dpkg and rsync with libafsync: build, measure, cut the power in the VM (CUTS=2 is quick, SEED=)
	+$(Q)scripts/kernel/build-modules.sh debian >/dev/null
	$(Q)scripts/check/integrations.sh

bench-doc: ## put the results of the last 'make bench' into the documentation
	$(Q)scripts/bench/doc.py build/bench Documentation/afsync

bench-programs: lib
	$(SUB) tools/bench all

demo-programs: lib
	$(SUB) tools/afsync demos

check: setup-test ## run all tests on Debian's kernel and on a debug kernel (STAGES=, TESTS=, FULL=1)
	$(Q)scripts/check.sh $(STAGES)

check-kernels: setup-test ## the selftests on all kernels of Debian that are supported (KERNELS="6.12-rt sid", TESTS=)
	$(Q)scripts/check/kernels.sh $(KERNELS)

check-sanitizers: export TESTS := $(TESTS)
check-sanitizers: setup-test ## the library under ThreadSanitizer, AddressSanitizer, valgrind (TOOLS="thread address")
	$(Q)scripts/check/sanitizers.sh $(TOOLS)

check-arch: setup-arch ## modules, library and their tests on other architectures, emulated (ARCHS=)
	$(Q)scripts/check/arch.sh $(ARCHS)

check-in-tree: setup-test ## the driver in a tree of the kernel, built in and as a module: build, boot, test
	$(Q)scripts/check/in-tree.sh $(TESTS)

check-crash check-twin check-fault check-fuzz: export POINTS := $(POINTS)
check-crash check-twin check-fault check-fuzz: export SEED := $(SEED)
check-crash check-twin check-fault check-fuzz: export ROUNDS := $(ROUNDS)
check-crash check-twin check-fault check-fuzz: export CALLS := $(CALLS)
check-crash check-twin check-fault check-fuzz: export TESTS := $(TESTS)
check-crash check-twin check-fault check-fuzz: export KERNEL := $(KERNEL)

check-crash: setup-test ## crashes at many moments: acknowledged data survives (POINTS= of each workload, SEED=)
	$(Q)scripts/check.sh crash

check-twin: setup-test ## the errors are those that the system calls report (POINTS=, SEED=, KERNEL=)
	$(Q)scripts/check.sh twin

check-fault: setup-test ## every allocation and copy of the module fails once, and under load (ROUNDS=, TESTS=)
	$(Q)scripts/check.sh fault

check-fuzz: setup-test ## random calls of every command are answered as documented (CALLS=, SEED=, KERNEL=)
	$(Q)scripts/check.sh fuzz

check-clients: export ROUNDS := $(ROUNDS)
check-clients: export SEED := $(SEED)
check-clients: setup-clients ## MariaDB and QEMU with the drop-in for libaio: everything acknowledged is found (ROUNDS=, SEED=)
	$(Q)scripts/check.sh clients

mutants: setup-test ## plant small bugs in the module and the libraries: do the tests see them? (MUTANTS="posix module")
	$(Q)scripts/check/mutants.sh $(MUTANTS)

coverage: export TESTS := $(TESTS)
coverage: setup-test ## which lines of the module and of the libraries run in their tests (PARTS=module, TESTS=)
	$(Q)scripts/check/coverage.sh $(PARTS)

soak: export SEED := $(SEED)
soak: setup-clients ## the tests that look for lost data and requests, again and again (SECONDS=, SEED=)
	$(Q)scripts/soak.sh $(or $(SECONDS),3600)

check-static: setup-test ## only the static checks
	$(Q)scripts/check.sh static

check-unit: setup-test ## only the tests that need no device
	$(Q)scripts/check.sh unit

packages-check: setup-packages-check ## the Debian packages in bare roots: install, boot, upgrade, remove (SUITES=, QUICK=1)
	$(Q)scripts/package/check-install.sh $(if $(filter-out 0,$(QUICK)),--quick) $(SUITES)

selftests: setup-test ## only the selftests, on Debian's kernel (TESTS="order_test merge_test" KERNEL=)
	$(Q)scripts/check.sh selftests

selftests-debug: setup-test ## only the selftests, on the debug kernel
	$(Q)scripts/check.sh selftests-debug

# CMD unexpanded: the guest's shell expands it.
vm: export VM_CMD = $(value CMD)
vm: VM_KERNEL = $(or $(KERNEL),$(if $(DEBUG),debug,debian))
vm: setup-$(if $(DEBUG)$(KERNEL),test,vm) ## a shell in a VM with the module loaded; CMD='...' runs that (ADD= DEBUG=1 KERNEL= MEM= TIMEOUT=)
	+$(Q)$(MAKE) --no-print-directory tools >&2
	+$(Q)scripts/kernel/build-modules.sh $(or $(KDIR),$(VM_KERNEL)) >/dev/null
	$(Q)scripts/vm.sh --no-sim --name vm --kernel $(VM_KERNEL) $(if $(MEM),--mem $(MEM)) \
		$(if $(TIMEOUT),--timeout $(TIMEOUT)) $(foreach path,$(ADD),--add $(path)) \
		-- $(if $(VM_CMD),"$$VM_CMD")

# In this order: without headers nothing is installed, and the last line names the next command.
install: modules lib tools ## install below $(DESTDIR)$(prefix), the module below $(DESTDIR)/lib/modules
	+$(Q)$(MAKE) --no-print-directory install-user
	+$(Q)$(MAKE) --no-print-directory install-module

install-user: lib tools $(LIBS:%=%/install) ## install all but the module; needs no kernel headers
	$(SUB) tools/afsync install
	$(Q)$(INSTALL) -d $(DESTDIR)$(mandir)/man4 $(dir $(RULES) $(GROUP))
	$(Q)$(INSTALL) -m 644 $(MAN4) $(DESTDIR)$(mandir)/man4
	@printf '  INSTALL %s\n' $(GROUP) $(RULES)
	$(Q)$(INSTALL) -m 644 tools/boot/sysusers.conf $(GROUP)
	$(Q)$(if $(DESTDIR),,! command -v systemd-sysusers >/dev/null || systemd-sysusers $(GROUP))
	$(Q)$(INSTALL) -m 644 tools/boot/60-afsync.rules $(RULES)
	$(Q)$(if $(DESTDIR),,ldconfig)

install-module: ## install only the module, without its debug information
	+$(Q)out=$$(scripts/kernel/build-modules.sh $(or $(KDIR),$(KVER))) && release=$${out##*/modules-} && \
		extra="$(DESTDIR)$(moduledir)/$$release/extra" && \
		$(INSTALL) -d "$$extra" $(dir $(LOAD)) && \
		$(INSTALL) -m 644 "$$out/drivers/afsync/afsync.ko" "$$extra/" && \
		$(STRIP) --strip-debug "$$extra/afsync.ko" && \
		printf '  INSTALL %s\n' "$$extra/afsync.ko" $(LOAD) && \
		$(INSTALL) -m 644 tools/boot/afsync.conf $(LOAD) && \
		$(if $(DESTDIR),,depmod "$$release" &&) \
		if [ -n "$(DESTDIR)" ]; then \
			echo "Next, on the machine that runs it: depmod $$release && modprobe afsync"; \
		elif [ "$$release" = "$$(uname -r)" ]; then \
			echo "Next: modprobe afsync"; \
		else \
			echo "Next: start kernel $$release (this is $$(uname -r)), then: modprobe afsync"; \
		fi

uninstall: $(LIBS:%=%/uninstall) ## remove the installed files, and the module for every kernel
	$(SUB) tools/afsync uninstall
	$(Q)rm -f $(LOAD) $(RULES) $(GROUP) \
		$(patsubst Documentation/man/%,$(DESTDIR)$(mandir)/man4/%,$(MAN4))
	$(Q)for ko in $(DESTDIR)$(moduledir)/*/extra/afsync.ko; do \
		[ -e "$$ko" ] || continue; \
		rm -f "$$ko"; \
		rmdir --ignore-fail-on-non-empty "$${ko%/*}"; \
		$(if $(DESTDIR),:,release=$${ko%/extra/*}; depmod "$${release##*/}"); \
	done
	$(Q)$(if $(DESTDIR),,ldconfig)

dist: ## the release tarball, build/dist/afsync-VERSION.tar.xz
	$(Q)scripts/package/dist.sh

deb: setup-package ## Debian packages, in build/deb (asks nothing; root only for packages that are missing)
	+$(Q)scripts/package/deb.sh

htmldocs: setup-docs ## all pages of the documentation as HTML, in build/htmldocs
	$(Q)scripts/htmldocs.sh

clean: ## remove everything that was built (kernels stay in the cache)
	$(Q)rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: see the top of the Makefile."

.PHONY: all modules lib tools tests setup demo bench bench-gate bench-preemption bench-doc bench-programs \
	bench-fio fio demo-programs integrations check check-kernels check-arch check-in-tree \
	check-sanitizers check-crash check-twin check-fault check-fuzz check-clients mutants coverage soak \
	check-static \
	check-unit selftests selftests-debug vm install install-user install-module uninstall dist deb \
	packages-check htmldocs clean help \
	$(foreach target,all install uninstall,$(LIBS:%=%/$(target)))
.DEFAULT_GOAL := all
