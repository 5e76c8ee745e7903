# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Rules that the makefiles of the libraries and programs share. They include this when
# they have set TOP, SRC and O.

.DEFAULT_GOAL := all
override O := $(abspath $(O))

CC ?= cc
CXX ?= c++
AR ?= ar
INSTALL ?= install
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g

prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith
C_WARNINGS := $(WARNINGS) -Wmissing-prototypes -Wstrict-prototypes

# The version of the project.
PROJECT_VERSION := $(shell cat $(TOP)/VERSION)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

# compile FLAGS: the recipe of an object.
define compile
$(say) CC $(@F)
@mkdir -p $(@D)
$(Q)$(CC) $(1) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
endef

# A pkg-config file NAME.pc from NAME.pc.in. Made anew each time: it depends on variables,
# not on files.
.PHONY: force-pc
force-pc:
$(O)/%.pc: $(SRC)/%.pc.in force-pc
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(prefix)|' -e 's|@INCLUDEDIR@|$(includedir)|' \
		-e 's|@LIBDIR@|$(libdir)|' -e 's|@VERSION@|$(PROJECT_VERSION)|' $< > $@

# The harness of the unit tests, which compares operands of any type, and passes tests
# arguments that they do not use.
KSRC ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/afsync/linux-source-6.1
KSELFTEST := $(KSRC)/tools/testing/selftests
HARNESS := $(KSELFTEST)/kselftest_harness.h
HARNESS_CFLAGS := -D_GNU_SOURCE -I$(KSELFTEST) -Wno-unused-parameter -Wno-sign-compare

$(HARNESS):
	@echo "No kernel source in $(KSRC): run 'make setup', or set KSRC." >&2
	@exit 1

.PHONY: all tests check install uninstall clean

-include $(wildcard $(O)/*.d $(O)/*/*.d)
