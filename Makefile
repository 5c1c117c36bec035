# mta-stsd: a policy host for MTA-STS (RFC 8461)
VERSION = 0.1.0

PREFIX  = /usr/local
SBINDIR = $(PREFIX)/sbin
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man
UNITDIR = $(PREFIX)/lib/systemd/system
CFLAGS  = -O2 -g
BUILD   = build

# Not every clang takes this one.
AUTO_INIT := $(shell $(CC) -ftrivial-auto-var-init=zero -x c -c /dev/null -o /dev/null \
	2>/dev/null && echo -ftrivial-auto-var-init=zero)
HARDENING_CFLAGS = -fPIE -fstack-protector-strong -fstack-clash-protection \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $(AUTO_INIT)
HARDENING_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack
WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wformat=2
# Paths inside the objects do not depend on where the tree lies.
REPRODUCIBLE = -ffile-prefix-map=$(CURDIR)=.

# How the container image is made; each in a BUILD of its own. STATIC=1: one stripped file that
# needs no other. MBEDTLS_SRC=DIR: Mbed TLS 3.6 from sources (apt-get source mbedtls), cut to size
# and made for speed: -O3 takes a fifth off a fetch, and -march=... of the machine it is for 1 % more.
MBEDTLS_CFLAGS = -O3
ifdef STATIC
HARDENING_CFLAGS += -ffunction-sections -fdata-sections
HARDENING_LDFLAGS = -static-pie -s -Wl,--gc-sections -Wl,-z,pack-relative-relocs \
	-Wl,-z,relro,-z,now,-z,noexecstack
endif

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DMTA_STSD_VERSION='"$(VERSION)"' \
	$(WARNINGS) $(HARDENING_CFLAGS) $(REPRODUCIBLE) $(CFLAGS) $(MBEDTLS_FLAGS) $(CPPFLAGS)
ALL_LDFLAGS = $(HARDENING_LDFLAGS) $(LDFLAGS)
ifdef MBEDTLS_SRC
MBEDTLS = $(BUILD)/libmbedtls.a
MBEDTLS_FLAGS = -DMBEDTLS_CONFIG_FILE='"$(CURDIR)/config/mbedtls_config.h"' \
	-isystem $(MBEDTLS_SRC)/include -isystem $(EVEREST)/include
LIBS = $(MBEDTLS) -linih
else
LIBS = -lmbedtls -lmbedx509 -lmbedcrypto -linih
endif

SOURCES = $(wildcard *.c)
OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o)
MODULES = $(filter-out $(BUILD)/main.o,$(OBJECTS))
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))

CHECK_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard check/*.c))
CHECK_MODULES = $(filter-out $(BUILD)/check/main.o,$(CHECK_OBJECTS))
REPORT_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard report/*.c))
REPORT_MODULES = $(filter-out $(BUILD)/report/main.o,$(REPORT_OBJECTS))
REPORT_PACKAGES = gmime-3.0 jansson zlib
REPORT_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(REPORT_PACKAGES)))
REPORT_LIBS = $(shell pkg-config --libs $(REPORT_PACKAGES))
PROGRAMS = $(BUILD)/mta-stsd $(BUILD)/mta-sts-check $(BUILD)/mta-sts-report
BENCH_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard bench/*.c))

all: $(PROGRAMS)
	ln -sf $(PROGRAMS) .

$(BUILD)/mta-stsd: $(OBJECTS) $(MBEDTLS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(LIBS)

# The tools take of the modules what they need.
$(BUILD)/modules.a: $(MODULES)
	rm -f $@
	$(AR) rcs $@ $(MODULES)

$(BUILD)/mta-sts-check: $(CHECK_OBJECTS) $(BUILD)/modules.a $(MBEDTLS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(CHECK_OBJECTS) $(BUILD)/modules.a $(LIBS) -lresolv

$(BUILD)/mta-sts-report: $(REPORT_OBJECTS) $(BUILD)/modules.a $(MBEDTLS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(REPORT_OBJECTS) $(BUILD)/modules.a $(LIBS) \
		$(REPORT_LIBS)

$(REPORT_OBJECTS): PACKAGES_CFLAGS = $(REPORT_CFLAGS)

$(BUILD)/%.o: %.c config/mbedtls_config.h Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(PACKAGES_CFLAGS) -I. -MMD -MP -c -o $@ $<

TEST_MODULES = $(MODULES) $(CHECK_MODULES) $(REPORT_MODULES)
$(BUILD)/tests/%: tests/unit/%.c $(TEST_MODULES) $(MBEDTLS) Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(REPORT_CFLAGS) -I. -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(TEST_MODULES) \
		-lcmocka $(LIBS) -lresolv $(REPORT_LIBS)

EVEREST = $(MBEDTLS_SRC)/3rdparty/everest
EVEREST_FLAGS = -isystem $(EVEREST)/include/everest -isystem $(EVEREST)/include/everest/kremlib
MBEDTLS_OBJECTS = $(patsubst $(MBEDTLS_SRC)/%.c,$(BUILD)/mbedtls/%.o, \
	$(wildcard $(MBEDTLS_SRC)/library/*.c) \
	$(addprefix $(EVEREST)/library/,everest.c x25519.c Hacl_Curve25519_joined.c)) \
	$(patsubst %.c,$(BUILD)/%.o,$(wildcard config/*.c))
$(BUILD)/libmbedtls.a: $(MBEDTLS_OBJECTS)
	rm -f $@
	$(AR) crD $@ $(MBEDTLS_OBJECTS)

$(BUILD)/mbedtls/%.o: $(MBEDTLS_SRC)/%.c config/mbedtls_config.h Makefile
	@mkdir -p $(@D)
	$(CC) $(HARDENING_CFLAGS) $(REPRODUCIBLE) $(CFLAGS) $(MBEDTLS_CFLAGS) $(MBEDTLS_FLAGS) \
		$(EVEREST_FLAGS) $(RENAME) -I$(MBEDTLS_SRC)/library -c -o $@ $<

# config/mbedtls_everest.c stands in for one function, and calls it for the other curves.
$(BUILD)/mbedtls/library/psa_crypto_ecp.o: RENAME = \
	-Dmbedtls_psa_ecp_export_public_key=mbedtls_everest_general
$(BUILD)/config/mbedtls_everest.o: PACKAGES_CFLAGS = $(EVEREST_FLAGS)

-include $(OBJECTS:.o=.d) $(CHECK_OBJECTS:.o=.d) $(REPORT_OBJECTS:.o=.d) $(UNIT_TESTS:=.d) \
	$(BENCH_OBJECTS:.o=.d)

# Throw-away certificate, example INI, the server on a local port, and what to try.
demo: $(BUILD)/mta-stsd
	@ln -sf $(BUILD)/mta-stsd .
	@certs-example/demo.sh

# Unit and system tests; the programs are built with ASan and UBSan.
SANITIZE = BUILD=build/asan HARDENING_CFLAGS=-fPIE HARDENING_LDFLAGS=-pie \
	CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
test: all
	@$(MAKE) --no-print-directory $(SANITIZE) test-programs
	@tests/run.sh build/asan

# The same tests on the program as it is shipped, under valgrind, which cannot run in a sandbox.
test-valgrind:
	@$(MAKE) --no-print-directory test-programs
	@MTA_STSD_SANDBOX=off MTA_STSD_WRAPPER='valgrind -q --error-exitcode=99 --leak-check=full' \
		tests/run.sh $(BUILD)

# Which lines the tests run; each file must have 90 % of its own.
coverage:
	@tests/coverage/run.sh build/coverage

# What testssl.sh finds about the program as it is shipped. Needs root and the package testssl.sh.
test-tls: $(BUILD)/mta-stsd
	@tests/tls/run.sh $(BUILD)

# Real senders and mail servers against the program as it is shipped. Root only; says what it needs.
test-interop: all
	@tests/interop/run.sh $(BUILD)

test-programs: $(PROGRAMS) $(UNIT_TESTS)

# Hardening, reproducible builds, gcc and clang, dynamic and static.
test-build:
	@tests/build/run.sh

# Each harness of tests/fuzz in turn. TIME=3600: an hour each. TARGETS="http ini": these only.
TIME = 60
fuzz:
	@tests/fuzz/run.sh $(TIME) $(TARGETS)

# Made by tests/fuzz/run.sh with clang, in a BUILD of its own, from fuzz_NAME.c and fuzz_NAME_*.c.
# WRAPPED: what those stand in for.
$(BUILD)/tools.a: $(CHECK_MODULES) $(REPORT_MODULES)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/fuzz_%: $(wildcard tests/fuzz/*.[ch]) $(BUILD)/tools.a $(BUILD)/modules.a $(MBEDTLS) Makefile
	$(CC) $(ALL_CFLAGS) $(REPORT_CFLAGS) -I. $(ALL_LDFLAGS) -fsanitize=fuzzer \
		$(WRAPPED:%=-Wl,--wrap=%) -o $@ $(wildcard tests/fuzz/fuzz_$*.c tests/fuzz/fuzz_$*_*.c) \
		$(BUILD)/tools.a $(BUILD)/modules.a $(LIBS) -lresolv $(REPORT_LIBS)

$(BUILD)/fuzz_conn: WRAPPED = recv send shutdown close clock_gettime write poll metrics_count \
	metrics_count_fetch metrics_count_handshake_failure mbedtls_ctr_drbg_random
$(BUILD)/fuzz_env: WRAPPED = getpid fcntl getsockopt socket connect close send poll
$(BUILD)/fuzz_dns: WRAPPED = res_nquery __res_ninit __res_nclose ns_initparse
$(BUILD)/fuzz_smtp: WRAPPED = socket connect setsockopt getsockopt poll recv send close \
	clock_gettime tls_conn_new_sender tls_conn_handshake tls_conn_write tls_conn_reason \
	tls_conn_close_notify tls_conn_free connection_peer

# Memory that runs out at each call for it in turn, system calls that fail.
test-faults: all
	@$(MAKE) --no-print-directory $(SANITIZE) build/asan/mta-stsd build/asan/mta-sts-check \
		build/asan/mta-sts-report
	@tests/faults/run.sh $(BUILD) build/asan

lint:
	@tests/lint/run.sh

# Speed and size beside the library's floor and other servers. BENCH_ROUNDS, BENCH_SECONDS and more:
# see bench/*.py. Needs OpenSSL, which nothing else here does. BENCH_SRC=DIR: and beside the same on
# a Mbed TLS of our own, made as with MBEDTLS_SRC=DIR.
BENCH = $(BUILD)/bench/load $(BUILD)/bench/floor
bench: export BENCH_OWN = $(BENCH_SRC:%=$(BUILD)/own/mta-stsd)
bench: $(BUILD)/mta-stsd $(BENCH)
	@[ -z "$$BENCH_OWN" ] || $(MAKE) -s MBEDTLS_SRC=$(BENCH_SRC) BUILD=$(BUILD)/own $$BENCH_OWN
	@BUILD=$(BUILD) /usr/bin/python3 bench/bench.py

# The same for what is left of it under an attack.
bench-attack: $(BUILD)/mta-stsd $(BENCH)
	@BUILD=$(BUILD) /usr/bin/python3 bench/attack.py

# What a second worker brings.
bench-workers: $(BUILD)/mta-stsd $(BENCH)
	@BUILD=$(BUILD) /usr/bin/python3 bench/workers.py

bench-deps:
	bench/deps.sh

$(BUILD)/bench/load: $(filter $(BUILD)/bench/load%,$(BENCH_OBJECTS))
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lssl -lcrypto -lpthread

$(BUILD)/bench/floor: $(BUILD)/bench/floor.o $(MBEDTLS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIBS)

UNITS = $(notdir $(wildcard config/*.socket config/*.service config/*.path config/*.timer))
PAGES = man1/mta-sts-check.1 man1/mta-sts-report.1 man5/mta-stsd.ini.5 man8/mta-stsd.8
ETC = $(DESTDIR)/etc/mta-stsd
install: $(PROGRAMS)
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(UNITDIR) $(ETC)
	install -m 755 $(BUILD)/mta-stsd $(DESTDIR)$(SBINDIR)/mta-stsd
	install -m 755 $(BUILD)/mta-sts-check $(BUILD)/mta-sts-report $(DESTDIR)$(BINDIR)
	for page in $(PAGES); do \
		install -D -m 644 man/$${page#*/} $(DESTDIR)$(MANDIR)/$$page || exit 1; \
	done
	for unit in $(UNITS); do \
		sed 's|@SBINDIR@|$(SBINDIR)|; s|@BINDIR@|$(BINDIR)|' config/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && \
			chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	@# What an administrator has made of these stays.
	[ -e $(ETC)/mta-stsd.ini ] || install -m 644 config/mta-stsd.ini $(ETC)/mta-stsd.ini
	for file in fullchain.pem privkey.pem; do \
		[ -e $(ETC)/$$file ] || [ -L $(ETC)/$$file ] || \
			ln -s certs/$$file $(ETC)/$$file || exit 1; \
	done

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/mta-stsd $(DESTDIR)$(BINDIR)/mta-sts-check \
		$(DESTDIR)$(BINDIR)/mta-sts-report \
		$(UNITS:%=$(DESTDIR)$(UNITDIR)/%) $(PAGES:%=$(DESTDIR)$(MANDIR)/%)

clean:
	rm -rf build mta-stsd mta-sts-check mta-sts-report

.PHONY: all demo test test-valgrind test-programs test-faults test-interop test-tls test-build fuzz \
	coverage lint bench bench-attack bench-workers bench-deps install uninstall clean
.SECONDARY:
