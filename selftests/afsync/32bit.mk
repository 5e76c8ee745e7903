# SPDX-License-Identifier: GPL-2.0-only
#
# Tests that are built once more for 32-bit programs on a 64-bit kernel. Included twice by
# the Makefile: before lib.mk for their names, after it for the rules.
#
#	NAME_32		time_t and off_t of 32 bits, as by default
#	NAME_t64	both of 64 bits
#
# The library under a test is built with the other of the two: it must not depend on it.

ifndef TESTS_32
comma := ,

TESTS_32 := abi_test args_test exactly_one_test engine_exactly_one_test engine_waiting_test \
	lib_test
TESTS_T64 := engine_waiting_test
ifneq ($(filter posix,$(DROPINS)),)
TESTS_32 += posix_arguments_test posix_lio_test posix_order_test posix_suspend_test
TESTS_T64 += posix_lio_test posix_order_test posix_suspend_test
endif
# If the machine has no 32-bit libaio: the one of Debian's source.
LIBAIO_SRC := $(or $(AFSYNC_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/afsync)/suites/libaio/src
ifneq ($(and $(filter libaio,$(DROPINS)),$(wildcard $(LIBAIO_SRC)/libaio.map)),)
TESTS_32 += libaio_events_test libaio_fsync_test libaio_time64_test
endif

else

WIDE := -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
CC_32 := $(CC) -m32
CC_t64 := $(CC) -m32 $(WIDE)
TESTS_OF_32 := $(TESTS_32:%=$(OUTPUT)/%_32) $(TESTS_T64:%=$(OUTPUT)/%_t64)
EXTRA_CLEAN += $(OUTPUT)/lib_32 $(OUTPUT)/lib_t64

# The tests _32 use the files below lib_32, so these are built as for 64 bits, and vice
# versa.
LIB_32_CFLAGS := -O2 -g $(WIDE)
LIB_t64_CFLAGS := -O2 -g

$(OUTPUT)/lib_%/libafsync.a: $(wildcard $(LIB)/*.[ch])
	+@$(MAKE) --no-print-directory -C $(LIB) O=$(@D) CC="$(CC) -m32" CFLAGS="$(LIB_$*_CFLAGS)" $@

$(OUTPUT)/lib_%/libafsync-posix.so.1: $(wildcard $(TOP)/tools/lib/afsync-dropin/* \
		$(TOP)/tools/lib/afsync-posix/*)
	+@$(MAKE) --no-print-directory -C $(TOP)/tools/lib/afsync-posix O=$(@D)/posix \
		CC="$(CC) -m32" CFLAGS="$(LIB_$*_CFLAGS)" all
	cp $(@D)/posix/$(@F) $@

$(OUTPUT)/lib_%/libafsync-libaio.so.1: $(wildcard $(TOP)/tools/lib/afsync-dropin/* \
		$(TOP)/tools/lib/afsync-libaio/*)
	+@$(MAKE) --no-print-directory -C $(TOP)/tools/lib/afsync-libaio O=$(@D)/libaio \
		CC="$(CC) -m32" CFLAGS="$(LIB_$*_CFLAGS)" all
	cp $(@D)/libaio/$(@F) $@

$(OUTPUT)/lib_32/libaio.so.1:
	mkdir -p $(@D)
	$(CC_32) -shared -fPIC -O2 -w -I$(LIBAIO_SRC) -Wl,-soname=$(@F) \
		-Wl,--version-script=$(LIBAIO_SRC)/libaio.map -o $@ \
		$(filter-out %/struct_offsets.c,$(wildcard $(LIBAIO_SRC)/*.c))

LOCAL_HDRS_32 := $(LOCAL_HDRS) $(wildcard *.h)

# test-32 32 or t64, EXTRA LINKER ARGUMENTS
test-32 = $(CC_$(1)) $(CFLAGS) -I$(LIB) -DPRELOAD_FOLDER='"lib_$(1)"' $(LDFLAGS) $< $(2) -o $@

# Static: they run where there are no 32-bit libraries.
STATIC_32 := $(filter $(OUTPUT)/abi_% $(OUTPUT)/args_% $(OUTPUT)/exactly_%,$(TESTS_OF_32))
$(STATIC_32): $(OUTPUT)/%_32: %.c $(LOCAL_HDRS_32)
	$(call test-32,32,-static)

# test-rules 32 or t64: those of the libraries
define test-rules
$$(filter $$(OUTPUT)/engine_%_$(1) $$(OUTPUT)/lib_%_$(1),$$(TESTS_OF_32)): $$(OUTPUT)/%_$(1): \
		%.c $$(LOCAL_HDRS_32) $$(OUTPUT)/lib_$(1)/libafsync.a
	$$(call test-32,$(1),$$(OUTPUT)/lib_$(1)/libafsync.a -static)

$$(filter $$(OUTPUT)/posix_%_$(1),$$(TESTS_OF_32)): $$(OUTPUT)/%_$(1): %.c $$(LOCAL_HDRS_32) \
		| $$(OUTPUT)/lib_$(1)/libafsync-posix.so.1
	$$(call test-32,$(1))

$$(filter $$(OUTPUT)/libaio_%_$(1),$$(TESTS_OF_32)): $$(OUTPUT)/%_$(1): %.c $$(LOCAL_HDRS_32) \
		$$(OUTPUT)/lib_32/libaio.so.1 | $$(OUTPUT)/lib_$(1)/libafsync-libaio.so.1
	$$(call test-32,$(1),$$(OUTPUT)/lib_32/libaio.so.1 -Wl$$(comma)-rpath$$(comma)'$$$$ORIGIN/lib_32')
endef
$(eval $(call test-rules,32))
$(eval $(call test-rules,t64))

endif
