# SPDX-License-Identifier: GPL-2.0-only
#
# lib.mk's own rule to run tests, with two changes: the tests are outside the kernel tree,
# so the runner needs the path of settings, and cannot find its helper for the prefix; and
# a failure fails the make. Included after lib.mk, with TOP and OUTPUT set.

define RUN_TESTS
	export OUTPUT="$(OUTPUT)";			\
	BASE_DIR="$(selfdir)";				\
	. $(selfdir)/kselftest/runner.sh;		\
	BASE_DIR="$(TOP)/selftests";			\
	tap_prefix() { sed -u -e 's/^/# /'; };		\
	run_many $(1) | tee $(OUTPUT)/results.tap;	\
	! grep -q '^not ok' $(OUTPUT)/results.tap
endef
EXTRA_CLEAN += $(OUTPUT)/results.tap
