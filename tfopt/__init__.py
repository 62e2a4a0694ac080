"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`."""
