# SPDX-License-Identifier: Apache-2.0
# The front door: `make help` says what there is. CMake does the work (CMakePresets.json).
PRESET ?= release
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
SHARED := $(or $(SONO_SHARED),../shared)
PREFIX ?= /usr/local
OUTPUT ?= out/
COMMAND := build/release/bin/sonoseg
DETECTOR ?= $(or $(SONO_DETECTOR),$(firstword $(wildcard $(SHARED)/checkpoints/dfine_s_bone.pth)))
SEGMENTER ?= $(or $(SONO_SEGMENTER),$(firstword $(wildcard $(SHARED)/checkpoints/mobile_sam_bone.pt)))
INPUT ?= $(firstword $(wildcard $(SHARED)/frames))
RUN_FLAGS ?=
BENCH_FLAGS ?=
FUZZ_SECONDS ?= 60
CTEST_FLAGS ?=

export DETECTOR SEGMENTER INPUT OUTPUT

.DEFAULT_GOAL := release
.PHONY: release debug setup run test bench asan ubsan tsan fuzz check format install clean help

release debug: ## build/release (the default) or build/debug
	@scripts/build.sh $@ $(JOBS)

setup: ## install the Debian packages that are missing (needs root or sudo without a password)
	@scripts/setup.sh build

run: ## set up, build, and analyse INPUT with DETECTOR and SEGMENTER into OUTPUT
	@scripts/setup.sh build
	@scripts/need_inputs.sh
	@scripts/build.sh release $(JOBS)
	$(COMMAND) run --detector "$$DETECTOR" --segmenter "$$SEGMENTER" --input $(INPUT) --output "$$OUTPUT" $(RUN_FLAGS)

test: ## set up, build, and run every test
	@scripts/setup.sh test
	@scripts/build.sh $(PRESET) $(JOBS)
	@scripts/test.sh $(PRESET) $(JOBS) $(CTEST_FLAGS)

bench: release ## time every stage (BENCH_FLAGS="--frames 20")
	@INPUT=built-in scripts/need_inputs.sh
	$(COMMAND) bench --detector "$$DETECTOR" --segmenter "$$SEGMENTER" $(BENCH_FLAGS)

asan ubsan tsan: ## the quick tests under a sanitizer (tsan: the threading tests)
	@scripts/build.sh $@ $(JOBS)
	@scripts/test.sh $@ $(JOBS)

fuzz: ## every fuzz target for FUZZ_SECONDS (default 60)
	@scripts/build.sh fuzz $(JOBS)
	@scripts/fuzz.sh $(FUZZ_SECONDS)

check: ## the house rules: includes, banned calls, lengths, formatting
	python3 scripts/check_rules.py
	scripts/format.sh --check

format: ## clang-format every C file in place
	scripts/format.sh

install: release ## install under PREFIX (default /usr/local)
	cmake --install build/release --prefix "$(PREFIX)"

clean: ## remove build/
	rm -rf build

help: ## this text
	@echo "sonoseg: finds one structure in an ultrasound frame and outlines it."
	@echo
	@echo "  make run DETECTOR=dfine_s.pth SEGMENTER=mobile_sam.pt INPUT=frames/ OUTPUT=out/"
	@echo "  make test"
	@echo
	@sed -n 's/^\([a-z][a-z ]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	    while IFS='|' read -r names text; do printf '  make %-17s %s\n' "$$names" "$$text"; done
	@echo
	@echo "Variables: JOBS=$(JOBS)  PRESET=$(PRESET) (make test)  PREFIX=$(PREFIX)  SONO_SHARED=$(SHARED) (reference material)"
