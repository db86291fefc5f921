# SPDX-License-Identifier: Apache-2.0
# The front door: `make help` says what there is. CMake does the work (CMakePresets.json).
PRESET ?= release
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
SHARED := $(or $(SONO_SHARED),../shared)
PREFIX ?= /usr/local
OUTPUT ?= out/
COMMAND := build/release/bin/sonoseg
# The command finds the models that come with it; the reference material's stand in where there are none.
DETECTOR ?= $(or $(SONO_DETECTOR),$(if $(wildcard models/dfine_*.safetensors),,$(firstword $(wildcard $(SHARED)/checkpoints/dfine_s_bone.pth))))
SEGMENTER ?= $(or $(SONO_SEGMENTER),$(if $(wildcard models/mobile_sam_*.safetensors),,$(firstword $(wildcard $(SHARED)/checkpoints/mobile_sam_bone.pt))))
CHECKPOINTS = $(if $(DETECTOR),--detector "$$DETECTOR") $(if $(SEGMENTER),--segmenter "$$SEGMENTER")
INPUT ?= $(firstword $(wildcard $(SHARED)/frames))
RUN_FLAGS ?=
DEMO_FLAGS ?=
BENCH_FLAGS ?=
LIVE_FLAGS ?=
FUZZ_SECONDS ?= 60
CTEST_FLAGS ?=

export DETECTOR SEGMENTER INPUT OUTPUT

.DEFAULT_GOAL := release
.PHONY: release debug cuda setup demo run live test bench asan ubsan tsan fuzz check check-long format wheel install deb clean help

release debug: ## build/release (the default) or build/debug; with CUDA where there is a GPU and nvcc 12.4
	@scripts/build.sh $@ $(JOBS)

cuda: ## build/cuda-release: with CUDA for every GPU since Turing, to be run elsewhere (nvcc 12.8, many minutes)
	@scripts/build.sh cuda-release $(JOBS)

setup: ## install the Debian packages that are missing (needs root or sudo without a password)
	@scripts/setup.sh build

demo: ## set up, build, and show it all on synthetic frames (into sonoseg-demo/; DEMO_FLAGS="--frames 12")
	@scripts/setup.sh build
	@INPUT=built-in scripts/need_inputs.sh
	@scripts/build.sh release $(JOBS) sonoseg_command
	$(COMMAND) demo $(CHECKPOINTS) $(DEMO_FLAGS)

run: ## set up, build, and analyse INPUT into OUTPUT (with DETECTOR and SEGMENTER, if you have your own)
	@scripts/setup.sh build
	@scripts/need_inputs.sh
	@scripts/build.sh release $(JOBS) sonoseg_command
	$(COMMAND) run $(CHECKPOINTS) --input $(INPUT) --output "$$OUTPUT" $(RUN_FLAGS)

live: ## set up, build, and try the live service: synthetic sweeps in, masks out, the address of its page, a line for 3D Slicer (LIVE_FLAGS="--engine null")
	@scripts/setup.sh build
	@INPUT=built-in scripts/need_inputs.sh
	@scripts/build.sh release $(JOBS) sonoseg_command
	$(COMMAND) serve --demo $(CHECKPOINTS) $(LIVE_FLAGS)

test: ## set up, build, and run every test
	@scripts/setup.sh test
	@scripts/build.sh $(PRESET) $(JOBS)
	@scripts/test.sh $(PRESET) $(JOBS) $(CTEST_FLAGS)

bench: release ## time every stage (BENCH_FLAGS="--frames 20")
	@INPUT=built-in scripts/need_inputs.sh
	$(COMMAND) bench $(CHECKPOINTS) $(BENCH_FLAGS)

asan ubsan tsan: ## the quick tests under a sanitizer (tsan: the threading tests)
	@scripts/build.sh $@ $(JOBS)
	@scripts/test.sh $@ $(JOBS)

check-long: ## hours: the long forms of what CI has in short (LONG="explore mutants models archive soak fuzz deb"), kept in bench/results
	@scripts/check_long.sh $(LONG)

fuzz: ## every fuzz target for FUZZ_SECONDS (default 60)
	@scripts/build.sh fuzz $(JOBS)
	@scripts/fuzz.sh $(FUZZ_SECONDS)

check: ## the house rules: includes, banned calls, lengths, formatting
	@scripts/need_tools.sh python3 clang-format
	python3 scripts/check_rules.py
	scripts/format.sh --check
	python3 scripts/performance.py --check
	python3 scripts/state_page.py --check

format: ## clang-format every C file in place
	scripts/format.sh

wheel: ## the Python wheels, into dist/; CUDA=1: with CUDA for every GPU since Turing (many minutes)
	@scripts/setup.sh wheel
	@scripts/wheel.sh $(if $(filter 1,$(CUDA)),--cuda)

install: release ## install under PREFIX (default /usr/local)
	cmake --install build/release --prefix "$(PREFIX)"

deb: ## Debian packages in build/deb, judged by lintian (docs/packaging.md)
	@scripts/setup.sh deb
	@scripts/deb.sh $(JOBS)

clean: ## remove build/ and dist/
	rm -rf build dist

help: ## this text
	@echo "sonoseg: finds one structure in an ultrasound frame and outlines it."
	@echo
	@echo "  make demo"
	@echo "  make run INPUT=frames/ OUTPUT=out/"
	@echo "  make test"
	@echo
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	    while IFS='|' read -r names text; do printf '  make %-17s %s\n' "$$names" "$$text"; done
	@echo
	@echo "Variables: JOBS=$(JOBS)  PRESET=$(PRESET) (make test)  PREFIX=$(PREFIX)  SONO_SHARED=$(SHARED) (reference material)"
