# One command each; CI runs them as they stand here.
.PHONY: check test bench arm64-check

check: ## format, lint, types
	ruff format --check .
	ruff check .
	mypy

test: ## everything, the slow tests too
	pytest
	pytest -m slow

bench: ## the figures of the README, each as a ratio within one run
	python -m tests.benchmarks

arm64-check: ## whether files compute the same on ARM64, emulated; needs Debian and qemu-user-static
	python -m tests.arm64.check $(FILES)
