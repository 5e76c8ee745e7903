# SPDX-License-Identifier: GPL-2.0-only
#
# Rules that the makefiles of programs with libafsync share, on top of those of the
# libraries. LIB_O is the output directory of libafsync.

include $(TOP)/tools/lib/build.mk

LIB_O ?= $(TOP)/build/tools/lib/afsync
LIB := $(LIB_O)/libafsync.a

PROGRAM_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread $(C_WARNINGS) \
	-I$(TOP)/include/uapi -I$(TOP)/tools/lib/afsync -I$(SRC) -MMD -MP

# The library's makefile decides whether it is up to date.
.PHONY: library
library:
	$(Q)$(MAKE) --no-print-directory -C $(TOP)/tools/lib/afsync O=$(LIB_O) all
$(LIB): library ;

$(O)/%.o: $(SRC)/%.c $(SRC)/Makefile $(TOP)/tools/program.mk $(TOP)/tools/lib/build.mk
	$(call compile,$(PROGRAM_CFLAGS))
