# telerelay. `make help` lists the targets; V=1 shows the commands.
# One makefile, generated dependencies; a change of compiler or flags rebuilds.

CONFIG ?= release
BUILD  := build/$(CONFIG)
BIN    := $(BUILD)/bin
GEN    := build/gen
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz clang,$(CONFIG)),clang,gcc)
endif
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Werror
DEFS    := -D_GNU_SOURCE -DTELERELAY_VERSION='"$(VERSION)"'
HARDEN  := -fstack-protector-strong -fPIE
OPT_release  := -O2 -g -D_FORTIFY_SOURCE=2
OPT_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_coverage := -O0 -g --coverage
OPT_tsan     := -O1 -g -fsanitize=thread
OPT_clang    := -O1
OPT_fuzz     := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
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
PROGRAMS := wsd fcgi sql robot
name_wsd   := telerelay-wsd
name_fcgi  := telerelay-api
name_sql   := telerelay-archiver
name_robot := telerelay-robot
libs_common := -ljansson -linih -lm
libs_wsd    := -lwebsockets -lhiredis -lev $(libs_common)
libs_sql    := -lsqlite3 -lpq -lhiredis $(libs_common)
libs_fcgi   := -lfcgi $(libs_sql)
libs_deploy := $(libs_sql)
libs_robot  := -lwebsockets -lpthread $(libs_common)
libs_bench  := -lhiredis $(libs_common)

src = $(wildcard $1/*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$1)
lib_src = $(filter-out $1/main.c,$(call src,$1))

# What a folder's code links beside libcommon.
archives_fcgi   := $(BUILD)/lib/libfcgi.a $(BUILD)/lib/libsql.a
archives_deploy := $(BUILD)/lib/libsql.a
archives = $(or $(archives_$1),$(filter $(BUILD)/lib/lib$1.a,$(LIBS)))

BINS := $(foreach p,$(PROGRAMS),$(if $(wildcard $p/main.c),$(BIN)/$(name_$p))) $(if $(wildcard deploy/telerelayctl.c),$(BIN)/telerelayctl)
LIBS := $(foreach p,common $(PROGRAMS) bench,$(BUILD)/lib/lib$p.a)

# tests/unit/COMPONENT_WHAT.c, tests/fuzz/COMPONENT_WHAT.c: COMPONENT says what is linked.
UNIT_SRC := $(wildcard tests/unit/*.c)
UNITS    := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
FUZZ_SRC := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
REPLAYS  := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(FUZZ_SRC))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzzer/%,$(FUZZ_SRC))
component = $(firstword $(subst _, ,$(notdir $1)))

ALL_C := $(foreach d,common $(PROGRAMS) deploy tests/unit tests/fuzz tests/bench tests/archive tests/sim,$(call src,$d))
ALL_H := $(wildcard $(addsuffix /*.h,common $(PROGRAMS) deploy tests/unit tests/fuzz tests/bench tests/archive tests/sim))

# What deploy/stack and the tests are told (make up PORT=8001 RUN_DIR=/tmp/second).
export PORT TLS_PORT RELAYS ROBOTS AUTH CONTROL LIMITS ARCHIVE RUN_DIR CONFIG

JOBS ?= $(shell nproc)
comma := ,

.PHONY: all
all: $(BINS) $(BIN)/telerelay-bench $(BIN)/telerelay-fill

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
$(BIN)/$(name_$1): $(call obj,$1/main.c) $(call archives,$1) $(BUILD)/lib/libcommon.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ $(libs_$1)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$p)))

$(BIN)/telerelayctl: $(call obj,deploy/telerelayctl.c) $(archives_deploy) $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_deploy)

$(BUILD)/lib/libbench.a: $(call obj,$(call lib_src,tests/bench))
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BIN)/telerelay-bench: $(call obj,tests/bench/main.c) $(BUILD)/lib/libbench.a $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_bench)

# Fills an archive for tests.
$(BIN)/telerelay-fill: $(call obj,tests/archive/fill.c) $(archives_deploy) $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_sql)

# The simulation: its own seams first, so that of the archives only what it does not replace is taken.
SIM_LIBS := $(foreach l,wsd robot common,$(BUILD)/lib/lib$l.a)
libs_sim := -Wl,--wrap=clock_gettime -Wl,--wrap=getrandom -llua5.1 $(libs_common)
$(BIN)/telerelay-sim: $(call obj,$(call src,tests/sim)) $(SIM_LIBS)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_sim)

# The relay's Redis scripts, as C strings: the prelude in front of each.
PRELUDE := wsd/scripts/prelude.lua
$(GEN)/wsd_scripts.h: $(wildcard wsd/scripts/*.lua) Makefile
	@mkdir -p $(@D)
	$(Q){ for f in $(filter-out $(PRELUDE) Makefile,$^); do \
	  printf 'static const char script_%s[] =\n' "$$(basename $$f .lua)"; \
	  cat $(PRELUDE) $$f | sed -e '/^[[:space:]]*--/d' -e '/^$$/d' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/'; \
	  printf '    ;\n'; done; } > $@
$(BUILD)/obj/wsd/bus_link.o: $(GEN)/wsd_scripts.h

# The archive's schemas, step by step, as C strings.
define schema_rule
$(GEN)/sql_$1.h: $(sort $(wildcard sql/$1/*.sql)) Makefile
	@mkdir -p $$(@D)
	$(Q){ printf 'static const char *const schema_$1[] = {\n'; for f in $$(filter %.sql,$$^); do \
	  sed -e '/^[[:space:]]*--/d' -e '/^$$$$/d' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$$$/\\n"/' $$$$f; \
	  printf '    ,\n'; done; printf '};\n'; } > $$@
$(BUILD)/obj/sql/archive_$1.o: $(GEN)/sql_$1.h
endef
$(foreach d,sqlite postgres,$(eval $(call schema_rule,$d)))

# The interface's description, as a C string.
$(GEN)/api_openapi.h: docs/openapi.yaml docs/openapi-json
	@mkdir -p $(@D)
	$(Q)docs/openapi-json --c > $@.new && mv $@.new $@
$(BUILD)/obj/fcgi/h_openapi.o: $(GEN)/api_openapi.h

.SECONDEXPANSION:
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $$(call archives,$$(call component,$$*)) $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(sort $(filter %.o,$^)) $(filter-out %/libcommon.a,$(filter %.a,$^)) $(BUILD)/lib/libcommon.a -lcmocka $(libs_$(call component,$*)) $(libs_common)

$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $$(call archives,$$(call component,$$*)) $(BUILD)/lib/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter-out %/libcommon.a,$(filter %.a,$^)) $(BUILD)/lib/libcommon.a $(libs_$(call component,$*)) $(libs_common)

$(BUILD)/fuzzer/%: $(BUILD)/obj/tests/fuzz/%.o $$(call archives,$$(call component,$$*)) $(BUILD)/lib/libcommon.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(LDFLAGS)) -o $@ $(filter %.o,$^) $(filter-out %/libcommon.a,$(filter %.a,$^)) $(BUILD)/lib/libcommon.a $(libs_$(call component,$*)) $(libs_common)

.PHONY: units replays fuzzers objects simulator
simulator: $(BIN)/telerelay-sim
units: $(UNITS)
replays: $(REPLAYS)
fuzzers: $(FUZZERS)
objects: $(call obj,$(ALL_C))

# Prints the annotated telerelay.conf.
$(BUILD)/tools/conf-example: $(BUILD)/obj/deploy/conf_example.o $(BUILD)/lib/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(libs_common)

# --- the dashboard ------------------------------------------------------------------------------

WEB_SRC := $(shell find web -path web/node_modules -prune -o -type f ! -name '.*' -print 2>/dev/null)

.PHONY: web
web: build/web/index.html
build/web/index.html: $(WEB_SRC) | web/node_modules/.package-lock.json
	$(Q)cd web && npm run --silent build
	@touch $@
web/node_modules/.package-lock.json: web/package-lock.json
	$(call say,NPM,web)
	$(Q)cd web && npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@
tests/node_modules/.package-lock.json: tests/package-lock.json
	$(call say,NPM,tests)
	$(Q)cd tests && npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@

# --- running ------------------------------------------------------------------------------------

.PHONY: run up down
run up:
	@deploy/install-packages build run
	@$(MAKE) -j$(JOBS) all web
	@deploy/stack $@
down:
	@deploy/stack down

# --- testing ------------------------------------------------------------------------------------

.PHONY: test faults bench lint format coverage fuzz
test:
	@deploy/install-packages build run test
	@$(MAKE) -j$(JOBS) tests/node_modules/.package-lock.json
	@tests/run $(T)

# The simulation in its long form, and the planted mistakes that it has to find.
SIM_COMMANDS ?= 1000000
SEED ?= 1
.PHONY: sim
sim:
	@deploy/install-packages build run test
	@$(MAKE) -j$(JOBS) simulator
	@$(BIN)/telerelay-sim --seed $(SEED) --commands $(SIM_COMMANDS)
	@tests/sim/mistakes/run

# The fault tests in their long form.
faults:
	@deploy/install-packages build run test
	@$(MAKE) -j$(JOBS) tests/node_modules/.package-lock.json
	@FAULTS_LONG=1 tests/run $(if $(FAULTS),$(patsubst %,'^faults/%$$',$(subst $(comma), ,$(FAULTS))),'^faults/' '^system/seam$$')

bench:
	@deploy/install-packages build run test
	@$(MAKE) -j$(JOBS) all
	@tests/bench/run

lint:
	@deploy/install-packages build run lint
	@tests/lint

format:
	@deploy/install-packages lint
	$(Q)clang-format -i $(ALL_C) $(ALL_H)

# Units and system tests; what a test kills with SIGKILL is not counted.
coverage:
	@deploy/install-packages build run test lint
	@$(MAKE) -j$(JOBS) CONFIG=coverage all units web tests/node_modules/.package-lock.json
	@find build/coverage -name '*.gcda' -delete
	@set -e; for unit in build/coverage/unit/*; do $$unit >/dev/null 2>&1 || { echo "$$unit fails"; exit 1; }; done
	@TELERELAY_BIN=$(CURDIR)/build/coverage/bin node --test --test-concurrency=1 tests/system/*.test.mjs >build/coverage/system.log 2>&1 || \
	  echo 'some system tests fail with this build: build/coverage/system.log'
	$(Q)gcovr -r . --object-directory build/coverage --exclude tests/ --html-details build/coverage/index.html --txt
	@echo "build/coverage/index.html has the lines."

FUZZ_SECONDS ?= 60
fuzz:
	@deploy/install-packages build lint
	@$(MAKE) -j$(JOBS) CONFIG=fuzz fuzzers
	@set -e; for f in $(notdir $(FUZZERS)); do \
	  echo "== $$f, $(FUZZ_SECONDS) s"; mkdir -p tests/fuzz/corpus/$$f build/fuzz/found/$$f; \
	  build/fuzz/fuzzer/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
	    -artifact_prefix=tests/fuzz/corpus/$$f/crash- build/fuzz/found/$$f tests/fuzz/corpus/$$f 2>&1 | \
	    tee build/fuzz/$$f.log | grep -E 'ERROR|SUMMARY|Test unit|stat::number_of_executed|cov:.*DONE' || true; \
	  if grep -qE '^(SUMMARY|==[0-9]+==.*ERROR)' build/fuzz/$$f.log; then tail -40 build/fuzz/$$f.log; exit 1; fi; done

# --- installing ---------------------------------------------------------------------------------
# make install PREFIX=/usr/local DESTDIR= SERVER_NAME=robots.example.org [RELAYS=2 ORIGINS= ALLOW= TLS_CERT= TLS_KEY=]

PREFIX     ?= /usr/local
DESTDIR    ?=
SYSCONFDIR ?= /etc
SERVER_NAME ?= localhost

.PHONY: install
install: all web $(BUILD)/tools/conf-example
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' SERVER_NAME='$(SERVER_NAME)' \
	  ORIGINS='$(ORIGINS)' ALLOW='$(ALLOW)' TLS_CERT='$(TLS_CERT)' TLS_KEY='$(TLS_KEY)' deploy/install-files $(BIN) $(BUILD)/tools/conf-example

# --- the rest -----------------------------------------------------------------------------------

# For clang-tidy and editors.
compile_commands.json: Makefile $(ALL_C) | $(GEN)/wsd_scripts.h $(GEN)/sql_sqlite.h $(GEN)/sql_postgres.h $(GEN)/api_openapi.h
	$(Q){ sep='['; for f in $(ALL_C); do \
	  printf '%s\n{"directory":"%s","file":"%s","command":"%s"}' "$$sep" '$(CURDIR)' "$$f" \
	    "$(subst ",\\\",$(CC) $(filter-out -fPIE,$(CFLAGS))) -c $$f"; sep=','; done; printf '\n]\n'; } >$@

.PHONY: clean help
clean:
	rm -rf build compile_commands.json

help:
	@echo 'make run       the whole stack in the foreground: http://localhost:8000/ (Ctrl-C stops it)'
	@echo 'make up|down   the same in the background'
	@echo '                 PORT=8000 TLS_PORT=8443 RELAYS=2 ROBOTS=1 AUTH=open CONTROL=shared LIMITS=on RUN_DIR=./run'
	@echo '                 ARCHIVE=postgresql://… instead of an SQLite file below RUN_DIR'
	@echo 'make test      every test; T=PATTERN: only the suites whose name matches'
	@echo 'make faults    the fault tests in their long form, 11 min; FAULTS=dead_man,network,…: only these'
	@echo 'make sim       the simulation in its long form; SEED=1 SIM_COMMANDS=1000000'
	@echo 'make bench     the benchmarks; BENCH=fanout,batch,command,safety,ingest,idle,blocked,history BENCH_SECONDS=6'
	@echo 'make lint      format, static analysis, both compilers, shell, nginx, units, layers'
	@echo 'make format | coverage | fuzz FUZZ_SECONDS=60 | compile_commands.json | clean'
	@echo 'make install   DESTDIR= PREFIX=/usr/local SERVER_NAME=robots.example.org'
	@echo 'make CONFIG=asan|tsan|coverage|clang   other builds, in build/CONFIG; V=1 shows the commands'

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.SECONDARY:
