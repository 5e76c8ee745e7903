# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The build and installation of a drop-in library: all sources of its directory and of this one
# in a shared library, and its manual page. Its makefile includes this when it has set TOP
# and NAME, and in LIBAFSYNC_PARTS the sources of libafsync that it compiles in, hidden.
#
# Variables: O (output directory), CC, CFLAGS, LDFLAGS, V=1 (show the commands), DESTDIR,
# prefix, libdir, mandir.

SRC := $(TOP)/tools/lib/$(NAME:lib%=%)
DROPIN := $(TOP)/tools/lib/afsync-dropin
LIBAFSYNC := $(TOP)/tools/lib/afsync
O ?= $(TOP)/build/tools/lib/$(NAME:lib%=%)
include $(TOP)/tools/lib/build.mk

# The number is that of the interface, which comes from another project.
SONAME := $(NAME).so.1
VERSION := 1.0.0

INCLUDES := -I$(TOP)/include/uapi -I$(SRC) -I$(DROPIN)
LIB_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden -pthread -D_GNU_SOURCE \
	-D_FILE_OFFSET_BITS=64 \
	$(C_WARNINGS) $(INCLUDES) -MMD -MP
OBJS := $(patsubst $(SRC)/%.c,$(O)/%.o,$(wildcard $(SRC)/*.c)) \
	$(patsubst $(DROPIN)/%.c,$(O)/dropin-%.o,$(wildcard $(DROPIN)/*.c)) \
	$(LIBAFSYNC_PARTS:%=$(O)/libafsync-%.o)
MAN7 := $(TOP)/Documentation/man/$(NAME).7
RULES := $(SRC)/Makefile $(DROPIN)/dropin.mk $(TOP)/tools/lib/build.mk

all: $(O)/$(NAME).so $(O)/$(NAME).pc

$(O)/%.o: $(SRC)/%.c $(RULES)
	$(call compile,$(LIB_CFLAGS))

$(O)/dropin-%.o: $(DROPIN)/%.c $(RULES)
	$(call compile,$(LIB_CFLAGS))

$(O)/libafsync-%.o: $(LIBAFSYNC)/%.c $(RULES)
	$(call compile,$(LIB_CFLAGS))

# link SONAME: the recipe of the library.
# Never unloaded: its threads and its handlers for forks cannot be removed. All symbols
# are looked up at once: a handler of signals or forks can be the first to call.
define link
$(say) LD $(@F)
@mkdir -p $(@D)
$(Q)$(CC) -shared -pthread -Wl,-soname,$(1) -Wl,-z,defs -Wl,-z,nodelete \
	-Wl,-z,now -Wl,--version-script=$(O)/$(NAME).map \
	$(CFLAGS) $(LDFLAGS) -o $@ $(OBJS)
endef

# The exports depend on the machine.
$(O)/$(NAME).map: $(SRC)/$(NAME).map $(RULES)
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -x c $(CPPFLAGS) $(CFLAGS) -o $@ $<

$(O)/$(SONAME): $(OBJS) $(O)/$(NAME).map
	$(call link,$(SONAME))

$(O)/$(NAME).so: $(O)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

install: all
	$(say) INSTALL $(DESTDIR)$(libdir)/$(SONAME)
	$(Q)$(INSTALL) -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(mandir)/man7
	$(Q)$(INSTALL) -m 755 $(O)/$(SONAME) $(DESTDIR)$(libdir)/$(NAME).so.$(VERSION)
	$(Q)ln -sf $(NAME).so.$(VERSION) $(DESTDIR)$(libdir)/$(SONAME)
	$(Q)ln -sf $(SONAME) $(DESTDIR)$(libdir)/$(NAME).so
	$(Q)$(INSTALL) -m 644 $(O)/$(NAME).pc $(DESTDIR)$(libdir)/pkgconfig
	$(Q)$(INSTALL) -m 644 $(MAN7) $(DESTDIR)$(mandir)/man7

uninstall:
	$(say) REMOVE $(DESTDIR)$(libdir)/$(SONAME)
	$(Q)rm -f $(DESTDIR)$(libdir)/$(NAME).so.$(VERSION) $(DESTDIR)$(libdir)/$(SONAME) \
		$(DESTDIR)$(libdir)/$(NAME).so $(DESTDIR)$(libdir)/pkgconfig/$(NAME).pc \
		$(DESTDIR)$(mandir)/man7/$(NAME).7

clean:
	$(Q)rm -rf $(O)/tests $(OBJS) $(OBJS:.o=.d) $(O)/$(NAME).map $(O)/$(NAME).so \
		$(O)/$(NAME).pc $(O)/$(SONAME)
