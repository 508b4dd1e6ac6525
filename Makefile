# make          build the two services          make test     unit and system tests
# make run      the whole thing on this machine make lint     warnings, banned functions, shell, formatting
# make SANITIZE=address,undefined unit          make help     all targets
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))
comma := ,
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))

PACKAGES := rdkafka libmicrohttpd libcurl libcrypto json-c yaml-0.1
WARNINGS := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
            -Wundef -Wvla -Wimplicit-fallthrough $(if $(WERROR),-Werror)
# The OpenSSF compiler hardening guide's set; a sanitizer brings its own checks instead of _FORTIFY_SOURCE.
HARDENING := -fstack-protector-strong -fstack-clash-protection -fno-strict-overflow -fno-delete-null-pointer-checks -fPIE \
             $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) $(HARDENING) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) \
             $(CFLAGS) $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lm -pthread

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON := $(call objects,$(wildcard common/*.c common/*/*.c))
INGEST := $(call objects,$(filter-out ingest/main.c,$(wildcard ingest/*.c)))
DISPATCHER := $(call objects,$(filter-out dispatcher/main.c,$(wildcard dispatcher/*.c)))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))

.PHONY: all
all: $(BUILD)/ess-ingest $(BUILD)/ess-dispatcher

$(BUILD)/libcommon.a: $(COMMON)
$(BUILD)/libingest.a: $(INGEST)
$(BUILD)/libdispatcher.a: $(DISPATCHER)
$(BUILD)/lib%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/ess-ingest: $(BUILD)/obj/ingest/main.o $(BUILD)/libingest.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/ess-dispatcher: $(BUILD)/obj/dispatcher/main.o $(BUILD)/libdispatcher.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# A unit test is tests/unit/<file>_test.c and may use every part but the main files.
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libdispatcher.a $(BUILD)/libingest.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka $(UNIT_LIBS_$*)
UNIT_LIBS_json_scan_test := -ljansson -lyajl

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
.SECONDARY:

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: unit
unit: $(UNIT_TESTS)
	@set -e; for t in $^; do $$t; done

.PHONY: clean
clean:
	rm -rf build
