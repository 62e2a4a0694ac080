# One command each; CI runs them as they stand here.
.PHONY: check test test-oldest bench arm64-check tpu-check jax-check docs

check: ## format, lint, types, direction of imports
	ruff format --check .
	ruff check .
	mypy
	lint-imports

test: ## everything, the slow tests too
	pytest
	pytest -m slow

# What meets Keras, TensorFlow and LiteRT where they differ between versions; minutes, not the whole suite.
OLDEST = tests/graph tests/quantization/test_quantize.py tests/conversion/test_export.py \
	tests/conversion/test_saved_before.py tests/pruning/test_pruning.py tests/distillation/test_distiller.py \
	tests/shrinking/test_shrink.py tests/test_import.py

test-oldest: ## in an environment made with: pip install -e '.[test]' -c tests/oldest.txt
	pytest $(OLDEST)

bench: ## the figures of the README, each as a ratio within one run
	python -m tests.benchmarks

arm64-check: ## whether files compute the same on ARM64, emulated; needs Debian and qemu-user-static
	python -m tests.arm64.check $(FILES)

tpu-check: ## whether the TPU's compiler takes the training steps, and their cost; needs pip install 'jax[tpu]==0.10.2'
	python -m tests.tpu.check
	python -m tests.tpu.on_tensorflow

jax-check: ## what runs on the JAX backend; needs pip install -e '.[test,jax]'
	pytest -m slow -k jax

docs: ## the site, into build/site; a broken link or reference is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
