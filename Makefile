# telerelay. `make help` lists the targets; V=1 shows the commands.
# One makefile, generated dependencies; a change of compiler or flags rebuilds.

CONFIG ?= release
BUILD  := build/$(CONFIG)
BIN    := $(BUILD)/bin
GEN    := build/gen
VERSION := 0.1.0

CC      ?= gcc
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Werror
DEFS    := -D_GNU_SOURCE -DTELERELAY_VERSION='"$(VERSION)"'
HARDEN  := -fstack-protector-strong -fPIE
OPT_release  := -O2 -g -D_FORTIFY_SOURCE=2
OPT_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_coverage := -O0 -g --coverage
OPT_tsan     := -O1 -g -fsanitize=thread
override CFLAGS  += -std=c11 $(WARN) $(DEFS) $(HARDEN) $(OPT_$(CONFIG)) -I. -I$(GEN)
override LDFLAGS += -pie -Wl,-z,relro,-z,now $(filter -fsanitize=% --coverage,$(OPT_$(CONFIG)))

ifeq ($(V),1)
Q :=
else
Q := @
MAKEFLAGS += --no-print-directory
endif
say = $(if $(Q),@printf '  %-6s %s\n' '$1' '$2')

# A program is its folder's .c files; all but main.c are also what the unit tests link.
PROGRAMS := wsd fcgi robot
name_wsd   := telerelay-wsd
name_fcgi  := telerelay-api
name_robot := telerelay-robot
libs_common := -ljansson -linih -lm
libs_wsd    := -lwebsockets -lhiredis -lev $(libs_common)
libs_fcgi   := -lfcgi -lhiredis $(libs_common)
libs_robot  := -lwebsockets -lpthread $(libs_common)

src = $(wildcard $1/*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$1)
lib_src = $(filter-out $1/main.c,$(call src,$1))

BINS := $(foreach p,$(PROGRAMS),$(if $(call src,$p),$(BIN)/$(name_$p)))
LIBS := $(foreach p,common $(PROGRAMS),$(BUILD)/lib/lib$p.a)

# tests/unit/COMPONENT_WHAT.c, tests/fuzz/COMPONENT_WHAT.c: COMPONENT says what is linked.
UNIT_SRC := $(wildcard tests/unit/*.c)
UNITS    := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
FUZZ_SRC := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
REPLAYS  := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(FUZZ_SRC))
FUZZERS  := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(FUZZ_SRC))
component = $(firstword $(subst _, ,$(notdir $1)))

.PHONY: all
all: $(BINS) $(BIN)/telerelay-bench

# --- building ---------------------------------------------------------------------------------

FLAGS_FILE := $(BUILD)/flags
FLAGS_NOW  := $(CC) $(CFLAGS) $(LDFLAGS)
ifneq ($(FLAGS_NOW),$(file <$(FLAGS_FILE)))
$(shell mkdir -p $(BUILD))
$(file >$(FLAGS_FILE),$(FLAGS_NOW))
endif

$(BUILD)/obj/%.o: %.c $(FLAGS_FILE)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

define archive_rule
$(BUILD)/lib/lib$1.a: $(call obj,$(call lib_src,$1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach p,common $(PROGRAMS),$(eval $(call archive_rule,$p)))

define program_rule
$(BIN)/$(name_$1): $(call obj,$1/main.c) $(BUILD)/lib/lib$1.a $(BUILD)/lib/libcommon.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ $(libs_$1)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$p)))

$(BIN)/telerelay-bench: $(call obj,$(call src,tests/bench)) $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lhiredis $(libs_common)

# The relay's Redis scripts, as C strings.
$(GEN)/wsd_scripts.h: $(wildcard wsd/scripts/*.lua)
	@mkdir -p $(@D)
	$(Q){ for f in $^; do \
	  printf 'static const char script_%s[] =\n' "$$(basename $$f .lua)"; \
	  sed -e '/^[[:space:]]*--/d' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/' $$f; \
	  printf '    ;\n'; done; } > $@
$(BUILD)/obj/wsd/bus_redis.o $(BUILD)/obj/wsd/bus_scripts.o: $(GEN)/wsd_scripts.h

.SECONDEXPANSION:
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $$(filter $(BUILD)/lib/lib$$(call component,$$*).a,$(LIBS)) $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(sort $(filter %.o,$^)) $(filter-out %/libcommon.a,$(filter %.a,$^)) $(BUILD)/lib/libcommon.a -lcmocka $(libs_$(call component,$*)) $(libs_common)

$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $$(filter $(BUILD)/lib/lib$$(call component,$$*).a,$(LIBS)) $(BUILD)/lib/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter-out %/libcommon.a,$(filter %.a,$^)) $(BUILD)/lib/libcommon.a $(libs_$(call component,$*)) $(libs_common)

.PHONY: units replays
units: $(UNITS)
replays: $(REPLAYS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.SECONDARY:
