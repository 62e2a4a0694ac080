# One command each; CI runs them as they stand here.
.PHONY: check test bench

check: ## format, lint, types, direction of imports
	ruff format --check .
	ruff check .
	mypy
	lint-imports

test: ## everything, the slow tests too
	pytest
	pytest -m slow

bench: ## the figures of the README, each as a ratio within one run
	python -m tests.benchmarks
