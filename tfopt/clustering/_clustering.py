"""The Clustering callback: weights share few values while the model trains; the model itself stays as it is."""

import warnings
from collections.abc import Callable
from typing import Any

import keras

from tfopt._keras_model import FitCallback
from tfopt._training_state import innermost, synchronize
from tfopt.clustering._centroids import STARTS
from tfopt.clustering._cluster_set import GRADIENTS, ClusterSet
from tfopt.clustering._report import ClusteringReport, LayerClusters
from tfopt.clustering._schedules import FEWEST, check_count
from tfopt.clustering._targets import find_targets
from tfopt.graph import LayerFilter
from tfopt.kernels import GRANULARITIES

DOMAINS = (None, "code", "value")

# Where a function does not yet say how many clusters there will be: more than this are no longer a code of 8 bits.
_MOST = 256


class Clustering(FitCallback):
    """Lets the weights of each kernel share a few values while the model trains, so that files of it compress.

    16 values take an index of 4 bits per weight and a table: what `TFLM_DECODE` of TFLite Micro, Vela and gzip make
    use of. From Han, Mao & Dally 2016, "Deep Compression", https://arxiv.org/abs/1510.00149. Give it to `fit`; there is
    nothing to wrap or to strip. It works together with quantization-aware training, `Pruning` and a `Distiller` in one
    `fit`, with any optimizer, strategy, `jit_compile` and `steps_per_execution`.

    **What is shared.** A plain layer's kernel holds at most `n_clusters` values. In a layer that `quantize` has made,
    clusters are those of the *codes* that the int8 file will hold, after batch norms are folded in: each channel has a
    step of its own, so that equal codes are other weights in each, and clusters of weights would be lost. The ends of
    the grid, -127 and 127, and zero are centroids that do not move: a channel's step is that of its largest weight,
    which stays at an end. With `granularity="channel"` each channel has values of its own, which any step keeps; with
    steps that are powers of two it is what you get. Zero is always among the values, and what is zero stays zero.

    While `fit` runs, each clustered weight has a constraint around its own, which is restored when training ends; a
    later `fit` is free to move the weights apart. At the end of each epoch, before the callbacks that are listed after
    it, weights are what a file would hold: list it after `Pruning` and before `ModelCheckpoint`. When `fit` was
    interrupted by an error, call `clustering.on_train_end()` to restore the constraints.

    Adds `n_clusters` to the logs of each epoch, 0 before clustering begins.

    Args:
        n_clusters: how many values, at least 3; or `HalvingClusters`, or any function from an optimizer step to a
            number that does not grow, or None for steps without clusters.
        where: which layers: None for all whose kernels hold more numbers than that, a regular expression that is
            searched in `layer.path`, or a function that takes a layer and returns a bool.
        granularity: `"tensor"`, values for each kernel, or `"channel"`, for each output channel.
        domain: `"code"` clusters the codes of an int8 file, also of a float model that will be quantized later;
            `"value"` the weights themselves; None codes where a layer is quantized, and values elsewhere.
        start: where centroids start: `"kmeans++"`; `"density"`, at quantiles; `"linear"`, evenly spaced. k-means
            follows.
        gradient: `"straight_through"`: weights move as if they were free, out of sight, and the layer gets the nearest
            centroid, which is the mean of its members. `"centroid"`: members of a cluster stay together and move by the
            mean of their updates (Han et al. 2016, section 3.3).
        keep_zeros: whether weights that are zero when clustering begins stay zero. False lets `Pruning` with regrowth
            decide alone. With `gradient="centroid"` they always do.
        seed: of what `"kmeans++"` draws.

    Raises:
        TypeError: `n_clusters` is neither a whole number nor callable.
        ValueError: an argument is not one of the above; or, from `fit`, the model is not built, no weight is left to
            cluster, the number of clusters grows, or another Clustering callback clusters the same weight.

    >>> import keras, numpy as np, tfopt
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(10, name="head")], name="net")
    >>> model.compile("adam", "mse")
    >>> clustering = tfopt.Clustering(n_clusters=8)
    >>> history = model.fit(np.ones((8, 16)), np.ones((8, 10)), callbacks=[clustering], verbose=0)
    >>> len(np.unique(model.layers[0].kernel))
    8
    >>> print(clustering.report)
    Clusters of 'net'
    layer      weight  values    bits  note
    net/head  16 × 10       8    4.60  values
    160 weights of 4.60 bits each, an index and its share of the table.
    Biases and normalization stay as they are.
    """

    def __init__(
        self,
        n_clusters: int | Callable[[int], int | None] = 16,
        where: LayerFilter = None,
        *,
        granularity: str = "tensor",
        domain: str | None = None,
        start: str = "kmeans++",
        gradient: str = "straight_through",
        keep_zeros: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not callable(n_clusters):
            check_count("n_clusters", "Clustering", n_clusters)
        for argument, value, known in (
            ("granularity", granularity, GRANULARITIES),
            ("domain", domain, DOMAINS),
            ("start", start, tuple(STARTS)),
            ("gradient", gradient, tuple(GRADIENTS)),
        ):
            if value not in known:
                raise ValueError(
                    f"The '{argument}' argument of Clustering must be one of {known}. Got {value!r} instead."
                )
        self.n_clusters = n_clusters
        self.where = where
        self.granularity = granularity
        self.domain = domain
        self.start = start
        self.gradient = gradient
        self.keep_zeros = keep_zeros
        self.seed = seed
        self._count: int | None = None
        self._clusters: ClusterSet | None = None
        self._is_running = False

    @property
    def report(self) -> ClusteringReport:
        """Which weights are clustered and how many values they hold now, and which layers stay as they are and why."""
        if self._clusters is None:
            raise ValueError(
                "The 'report' of Clustering is made in fit. Call model.fit(..., callbacks=[clustering]) first."
            )
        clustered = [
            LayerClusters(
                target.layer.path or target.layer.name,
                target.space.shape,
                values,
                target.space.rows[0],
                target.space.codes,
            )
            for target, values in zip(self._clusters.targets, self._clusters.distinct(), strict=True)
        ]
        others = [LayerClusters(path, reason=reason) for path, reason in self._others]
        return ClusteringReport(self.model.name, (*clustered, *others))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Find the weights, and attach a constraint to each that leaves it as it is."""
        self._step = self._begin = self._steps_so_far()
        self._batches = 0
        self._count = None
        targets, self._others = find_targets(
            self.model, self.where, self._last() or FEWEST, self.granularity, self.domain
        )
        places = self._places()
        self._clusters = ClusterSet(self.model, targets, places, self.gradient, self.start, self.seed)
        self._is_running = True
        # A train function that was traced before does not know the constraints.
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Make the first clusters here: other callbacks may load weights in on_train_begin."""
        self._running.check_in_force()
        self._last_batch = -1
        if not self._batches:
            self._begin = self._steps_so_far()  # others may have restored an optimizer in on_train_begin
        self._cluster_for_batch(0)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Make new clusters where their number changes."""
        self._cluster_for_batch(batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count: the optimizer of a model with a `train_step` of its own may not be the one that moves weights."""
        self._last_batch = batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Let the weights be what a file would hold, for the callbacks that save them."""
        self._batches += self._last_batch + 1
        if self._count is not None:
            self._running.settle()
        if logs is not None:
            logs["n_clusters"] = self._count or 0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the constraints, after the clusters are settled: others may have written to the weights."""
        if not self._is_running:
            return  # training had ended already: this is a second call
        if self._count is not None:
            self._running.settle()
        self._running.remove()
        self._is_running = False
        self.model.make_train_function(force=True)
        if self._count != self._last():
            warnings.warn(
                f"Training ended at step {self._step}, before the schedule of Clustering does: there are "
                f"{self._count or 'no'} clusters instead of {self._last()}. Train longer, or pass a schedule that "
                f"ends at step {self._step} or before.",
                stacklevel=2,
            )

    @property
    def _running(self) -> ClusterSet:
        if not self._is_running or self._clusters is None:
            raise ValueError("Clustering has no clusters outside of fit. Pass it in fit(callbacks=[...]).")
        return self._clusters

    def _steps_so_far(self) -> int:
        optimizer = innermost(self.model.optimizer)
        return 0 if optimizer is None else int(keras.ops.convert_to_numpy(optimizer.iterations))

    def _at(self, step: int) -> int | None:
        count = self.n_clusters(step) if callable(self.n_clusters) else self.n_clusters
        if count is not None:
            check_count("n_clusters", "Clustering", count)
        return count

    def _last(self) -> int | None:
        """How many clusters the schedule ends with; for a function without an end, how many there are now."""
        end = getattr(self.n_clusters, "end_step", None)
        return self._at(self._step if end is None else end)

    def _places(self) -> int:
        """The most clusters there will be."""
        begin = max(self._step, getattr(self.n_clusters, "begin_step", 0))
        return self._at(begin) or _MOST

    def _cluster_for_batch(self, batch: int) -> None:
        accumulation = getattr(innermost(self.model.optimizer), "gradient_accumulation_steps", None) or 1
        self._step = self._begin + (self._batches + batch) // accumulation
        count = self._at(self._step)
        if count == self._count or count is None:
            return
        if self._count is not None and count > self._count:
            raise ValueError(
                "The 'n_clusters' argument of Clustering must be a schedule that does not grow. Got "
                f"{count} at step {self._step} after {self._count} instead."
            )
        synchronize(self.model)
        self._running.cluster(count, keep_zeros=self.keep_zeros and self._count is None)
        self._count = count
