# `make` builds the services and installs nothing, `make help` lists the rest. What another target needs and the machine lacks is
# installed by deploy/setup.
#   make SANITIZE=address,undefined unit     a build of its own in build/sanitize-address-undefined
#   make WERROR=1, make CC=clang, make CFLAGS=-O0     what was built with other flags is built again; V=1 shows commands
.DEFAULT_GOAL := all
comma := ,
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))

# All cores, unless -j says otherwise or another make has called this one.
ifeq ($(MAKELEVEL)$(findstring -j,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

PACKAGES := rdkafka libmicrohttpd gnutls libcurl libcares libcrypto json-c yaml-0.1
# Remade, and so the machine looked at, before anything else is; it holds what pkg-config says.
building := $(filter-out help clean distclean deps,$(or $(MAKECMDGOALS),all))
ifneq ($(building),)
include build/packages.mk
endif
build/packages.mk: deploy/setup Makefile
	@mkdir -p build
	@deploy/setup $(if $(filter-out all objects structure build/%,$(building)),,--check) build
	@{ printf 'PACKAGE_CFLAGS := ' && pkg-config --cflags $(PACKAGES) && \
	  printf 'PACKAGE_LIBS := ' && pkg-config --libs $(PACKAGES); } >$@.new
	@mv $@.new $@

.PHONY: deps
deps: ## install what building needs and this machine lacks, as root or with sudo
	@deploy/setup build

# Of gcc only: clang takes no comment for the mark of a fall-through and looks into the casts of libraries' macros (uthash, librdkafka).
WARNINGS := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wvla \
            $(if $(findstring clang,$(CC)),,-Wimplicit-fallthrough -Wcast-qual) $(if $(WERROR),-Werror)
# The OpenSSF compiler hardening guide's set; a sanitizer brings its own checks instead of _FORTIFY_SOURCE.
HARDENING := -fstack-protector-strong -fstack-clash-protection -fno-strict-overflow -fno-delete-null-pointer-checks -fPIE \
             $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full)
SANITIZER := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all)
CFLAGS ?= -O2 -g
quiet = $(if $(V),,@echo "$(1) $@";)
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) $(HARDENING) $(SANITIZER) $(if $(SANITIZE),-fno-omit-frame-pointer) \
          $(PACKAGE_CFLAGS) $(CFLAGS)
LINK = $(CC) -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(SANITIZER) $(LDFLAGS)
LIBS = $(PACKAGE_LIBS) -lm -pthread

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON := $(call objects,$(wildcard common/*.c common/*/*.c))
INGEST := $(call objects,$(filter-out ingest/main.c,$(wildcard ingest/*.c ingest/*/*.c)) $(BUILD)/made/openapi.c)
DISPATCHER := $(call objects,$(filter-out dispatcher/main.c,$(wildcard dispatcher/*.c dispatcher/*/*.c)))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))
SYSTEM_TESTS ?= tests/system

.PHONY: all
all: $(BUILD)/ess-ingest $(BUILD)/ess-dispatcher ## the two services, build/ess-ingest and build/ess-dispatcher

# A folder is named so that a removed file leaves its library too.
$(BUILD)/libcommon.a: $(COMMON) $(wildcard common common/*/)
$(BUILD)/libingest.a: $(INGEST) $(wildcard ingest ingest/*/)
$(BUILD)/libdispatcher.a: $(DISPATCHER) $(wildcard dispatcher dispatcher/*/)
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call quiet,archive)$(AR) rcs $@ $(filter %.o,$^)

# The document that ess-ingest serves, as text in C.
$(BUILD)/made/openapi.c: ingest/api/openapi.json
	@mkdir -p $(@D)
	@{ echo '#include "ingest/api/openapi.h"'; echo 'const char openapi_document[] ='; \
	  sed -e 's/[\"]/\\&/g' -e 's/.*/    "&\\n"/' $<; echo '    ;'; } >$@

$(BUILD)/ess-ingest: $(BUILD)/obj/ingest/main.o $(BUILD)/libingest.a $(BUILD)/libcommon.a
	$(call quiet,link)$(LINK) -o $@ $^ $(LIBS)
$(BUILD)/ess-dispatcher: $(BUILD)/obj/dispatcher/main.o $(BUILD)/libdispatcher.a $(BUILD)/libcommon.a
	$(call quiet,link)$(LINK) -o $@ $^ $(LIBS)

# A unit test is tests/unit/<file>_test.c and may use every part but the main files.
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libdispatcher.a $(BUILD)/libingest.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call quiet,link)$(LINK) -o $@ $^ $(LIBS) -lcmocka $(UNIT_LIBS_$*)
UNIT_LIBS_json_scan_test := -ljansson -lyajl
UNIT_LIBS_buf_test := -ljansson
$(call objects,$(wildcard tests/unit/*.c)): | setup-test

# A benchmark's load and limit: tests/bench/<file>.c.
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call quiet,link)$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,compile)$(COMPILE) -MMD -MP -c -o $@ $<
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# Changes when the flags do.
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LINK)' | cmp -s - $@ || echo '$(COMPILE) $(LINK)' >$@
.PHONY: force
force:

.PHONY: setup-test
setup-test:
	@deploy/setup test

.PHONY: run
run: all ## the whole thing on this machine, until Ctrl-C
	@deploy/setup run
	@deploy/demo/run

.PHONY: unit
unit: $(UNIT_TESTS) ## unit tests
	@tests/run $^

.PHONY: test
test: all $(UNIT_TESTS) setup-test ## unit and system tests; SYSTEM_TESTS="tests/system/test_x.py …" for some
	@tests/run $(SYSTEM_TESTS:%=--system %) $(UNIT_TESTS)

.PHONY: test-compose
test-compose: setup-test ## images, both compose files and make run on a bare Debian, in a real container engine; needs root where none runs
	@tests/compose/engine start bookworm
	@tests/run $(COMPOSE_TESTS:%=--system %)
COMPOSE_TESTS ?= tests/compose

.PHONY: chaos outage chaos-long
chaos: all setup-test ## a minute of load while everything is killed, stopped and cut off; CHAOS_SEED=7 CHAOS_S=300 for others
	@tests/run --system tests/chaos/test_chaos.py
outage: all setup-test ## two minutes of load while the broker is away; OUTAGE_S=20 for fewer
	@PYTEST_ARGS="-s $$PYTEST_ARGS" TEST_PROCESSES=0 tests/run --system tests/chaos/test_outage.py
.PHONY: sns-long
sns-long: all setup-test ## 10,000 events to a topic of AWS SNS, standard and FIFO, with a kill -9 in the middle; SNS_EVENTS=1000 for fewer
	@SNS_EVENTS=$${SNS_EVENTS:-10000} PYTEST_ARGS="-s -k kill_in_the_middle $$PYTEST_ARGS" TEST_PROCESSES=0 SYSTEM_TIMEOUT_S=5000 tests/run --system tests/system/test_sns.py
.PHONY: soak
soak: all setup-test ## an hour of faults, commands and silent endpoints, at rest every few minutes; SOAK_SEED=7 SOAK_S=300 for others
	@PYTEST_ARGS="-s $$PYTEST_ARGS" TEST_PROCESSES=0 SYSTEM_TIMEOUT_S=14000 tests/run --system tests/chaos/test_soak.py
chaos-long: ## half an hour of it
	@CHAOS_S=1800 SYSTEM_TIMEOUT_S=4200 PYTEST_ARGS="-s $$PYTEST_ARGS" $(MAKE) --no-print-directory chaos

# Of several in one command each waits for the one before, and so does what it builds: at once they would measure each other.
ifneq ($(word 2,$(filter bench bench-% chaos chaos-long outage sns-long soak fuzz fuzz-long test test-compose,$(MAKECMDGOALS))),)
.NOTPARALLEL:
endif

.PHONY: bench
bench: ## all of the below, one after the other
	@for what in $(BENCHES); do echo "== bench-$$what"; $(MAKE) --no-print-directory bench-$$what || exit 1; done
BENCHES ?= filter latency publish delivery batch failures idle takeover isolation catch-up pull ownership js
.PHONY: bench-js bench-latency bench-idle bench-takeover bench-isolation bench-catch-up bench-failures
bench-latency: all setup-test $(BUILD)/bench/latency ## from a publish to its answer, and to a webhook, beside their limits
	@build/venv/bin/python tests/bench/latency.py
bench-js: all setup-test $(BUILD)/bench/latency ## what the client for JavaScript adds to a publish
	@build/venv/bin/python tests/bench/js.py
bench-idle: all setup-test ## CPU and memory of both services with nothing to do
	@build/venv/bin/python tests/bench/idle.py
bench-takeover: all setup-test ## how soon another dispatcher has everything after kill -9, SIGTERM, a join
	@build/venv/bin/python tests/bench/takeover.py
bench-isolation: all setup-test $(BUILD)/bench/latency ## what 100 endpoints that hang cost 100 healthy ones
	@build/venv/bin/python tests/bench/isolation.py
bench-failures: all setup-test $(BUILD)/bench/webhooks $(BUILD)/bench/load ## what endpoints cost that fail 10 % of the time
	@build/venv/bin/python tests/bench/failures.py
bench-catch-up: all setup-test $(BUILD)/bench/webhooks $(BUILD)/bench/feed ## how fast lanes deliver that are far behind, one and a hundred
	@build/venv/bin/python tests/bench/catch_up.py

.PHONY: bench-filter
bench-filter: $(BUILD)/bench/filter ## what a filter of 10 conditions adds to an event, beside a bare JSON scan
	@$<

.PHONY: bench-batch
bench-batch: all setup-test $(BUILD)/bench/feed ## how fast a strict subscriber catches up with batches; EVENTS=1000000 for more
	@build/venv/bin/python tests/bench/batch.py

.PHONY: bench-delivery
bench-delivery: all setup-test $(BUILD)/bench/webhooks $(BUILD)/bench/load ## how fast webhooks are sent, beside a bare libcurl loop
	@build/venv/bin/python tests/bench/delivery.py

.PHONY: bench-pull
bench-pull: all setup-test $(BUILD)/bench/feed ## how fast the log is read, by replay, poll and stream; BENCH=poll for one
	@build/venv/bin/python tests/bench/pull.py $(BENCH)

.PHONY: bench-publish
bench-publish: all setup-test $(BUILD)/bench/load $(BUILD)/bench/latency $(BUILD)/bench/feed ## how fast events are published, beside Kafka's own producer; BENCH=ids for one
	@build/venv/bin/python tests/bench/publish.py $(BENCH)

# A target is tests/fuzz/<name>_fuzz.c; the whole of the code is built by clang to tell libFuzzer where it went.
FUZZ := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_S ?= 20
fuzz_make = $(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,address,undefined BUILD=build/fuzz CFLAGS='-O1 -g'
.PHONY: fuzz
fuzz: ## each fuzz target for 20 s, two at a time; FUZZ_S=60 for longer
	@deploy/setup fuzz
	+@$(fuzz_make) fuzz-run # +: a make whose name is in a variable gets the jobserver too
.PHONY: fuzz-long
fuzz-long: ## each fuzz target for an hour
	@$(MAKE) --no-print-directory FUZZ_S=3600 fuzz
.PHONY: fuzz-run fuzz-keep
fuzz-run: $(FUZZ)
	@tests/fuzz/run $(FUZZ_S) $^
fuzz-keep: ## bring what fuzzing found into tests/fuzz/corpus
	+@$(fuzz_make) fuzz-keep-run
fuzz-keep-run: $(FUZZ)
	@tests/fuzz/run keep $^
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libdispatcher.a $(BUILD)/libingest.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call quiet,link)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS) -ljansson

.PHONY: bench-ownership
bench-ownership: all setup-test ## how fast dispatchers load what they are assigned, and what 10,000 idle subscribers cost
	@build/venv/bin/python tests/bench/ownership.py

.PHONY: objects
objects: $(call objects,$(wildcard common/*.c common/*/*.c ingest/*.c ingest/*/*.c dispatcher/*.c dispatcher/*/*.c tests/unit/*.c))

.PHONY: lint
lint: ## warnings of gcc and clang, banned functions, lengths, layers, clang-format, shellcheck, cppcheck, structure
	@deploy/setup lint
	@$(MAKE) --silent CC=gcc WERROR=1 BUILD=build/lint-gcc objects
	@$(MAKE) --silent CC=clang WERROR=1 BUILD=build/lint-clang objects
	@tests/lint
	@tests/structure build/lint-gcc

.PHONY: format
format: ## lay out all C files as .clang-format says
	@deploy/setup lint
	@git ls-files '*.[ch]' | xargs build/venv/bin/clang-format -i

.PHONY: structure
structure: all ## how the code is laid out: cycles, walls, state in file scope, names, lengths; ends with 1 where a limit is passed
	@tests/structure $(BUILD)

.PHONY: clean
clean: ## remove what was built; Kafka's jars and Python's venv stay
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name 'kafka*' ! -name 'venv*' -exec rm -rf {} +

.PHONY: distclean
distclean: ## remove build/ wholly; end the local broker before
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
