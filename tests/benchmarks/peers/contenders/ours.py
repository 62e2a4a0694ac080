"""tfopt: the methods of its peers, and those that they do not have."""

from collections.abc import Callable
from typing import Any

import tfopt
from tests.benchmarks.peers.work import Work


def ptq(work: Work) -> Any:
    q = tfopt.quantize(work.model, work.calibration)
    tfopt.export(q, work.path)
    return q


def ptq_micro(work: Work) -> Any:
    q = tfopt.quantize(work.model, work.calibration, tfopt.QuantConfig.for_target("tflm"))
    tfopt.export(q, work.path)
    return q


def ptq_corrected(work: Work) -> Any:
    config = tfopt.QuantConfig(ranges=tfopt.Ranges(method="mse"))
    q = tfopt.quantize(work.model, work.calibration, config, correct_bias=True)
    tfopt.export(q, work.path)
    return q


def ptq_int16(work: Work) -> Any:
    q = tfopt.quantize(work.model, work.calibration, tfopt.QuantConfig(activation_bits=16))
    tfopt.export(q, work.path)
    return q


def dynamic_range(work: Work) -> Any:
    tfopt.export(work.model, work.path, format="dynamic")


def weights_only(work: Work) -> Any:
    tfopt.export(work.model, work.path, format="weights_int8")


def qat(work: Work) -> Any:
    config = tfopt.QuantConfig(ranges=tfopt.Ranges(method="mse"))
    q = tfopt.quantize(work.model, work.calibration, config)
    work.train(q)
    tfopt.export(q, work.path)
    return q


def qat_micro(work: Work) -> Any:
    q = tfopt.quantize(work.model, work.calibration, tfopt.QuantConfig.for_target("tflm"))
    work.train(q)
    tfopt.export(q, work.path)
    return q


def callbacks(work: Work, final: float = 0.8, clusters: int | None = None, **options: Any) -> list[Any]:
    schedule = tfopt.PolynomialDecay(final, int(0.6 * work.epochs * work.steps))
    return [tfopt.Pruning(schedule, **options), *([tfopt.Clustering(clusters)] if clusters else [])]


def pruned(work: Work, *settings: Any, **options: Any) -> Any:
    q = tfopt.quantize(work.model, work.calibration)
    work.train(q, callbacks=callbacks(work, *settings, **options))
    tfopt.export(q, work.path)
    return q


def prune(work: Work) -> Any:
    return pruned(work, scope="global", criterion="lamp")


def prune_each_layer(work: Work) -> Any:
    return pruned(work)


def prune_each_layer_in_clusters(work: Work) -> Any:
    return pruned(work, 0.6, 16)


def prune_2_of_4(work: Work) -> Any:
    return pruned(work, 0.5, pattern="2:4")


def taught(work: Work, model: Any) -> Any:
    losses = [tfopt.SoftTargets(temperature=4.0, from_logits=True)]
    if work.loss() == "mse":
        losses = [tfopt.OutputMatching()]
    return tfopt.Distiller(model, work.model, losses, student_loss_weight=0.5)


def distilled(work: Work, clusters: int | None = None) -> Any:
    q = tfopt.quantize(work.model, work.calibration)
    pruning = callbacks(work, clusters=clusters, scope="global", criterion="lamp")
    work.train(taught(work, q), callbacks=pruning)
    tfopt.export(q, work.path)
    return q


def distilled_in_clusters(work: Work) -> Any:
    return distilled(work, 16)


def cluster(work: Work, clusters: int = 16) -> Any:
    q = tfopt.quantize(work.model, work.calibration)
    work.train(q, callbacks=[tfopt.Clustering(clusters)])
    tfopt.export(q, work.path)
    return q


def cluster_finely(work: Work) -> Any:
    return cluster(work, 32)


def four_bits(work: Work) -> Any:
    config = tfopt.QuantConfig(weight_bits=4, ranges=tfopt.Ranges(method="mse"))
    q = tfopt.quantize(work.model, work.calibration, config)
    work.train(q)
    tfopt.export(q, work.path)
    return q


def smaller(work: Work, criterion: str = "taylor", macs: float = 0.5) -> Any:
    work.model.compile("sgd", work.loss())
    data = work.x[:512], work.y[:512]
    return tfopt.shrink(work.model, macs=macs, criterion=criterion, data=data)


def shrunk(work: Work, *settings: Any) -> Any:
    model = smaller(work, *settings)
    work.train(model, work.epochs - work.epochs // 3)
    q = tfopt.quantize(model, work.calibration)
    work.train(q, work.epochs // 3)
    tfopt.export(q, work.path)
    return q


def half_the_macs_by_norms(work: Work) -> Any:
    return shrunk(work, "batch_norm")


def most_of_the_macs_by_norms(work: Work) -> Any:
    return shrunk(work, "batch_norm", 0.7)


def half_the_macs_distilled(work: Work) -> Any:
    q = tfopt.quantize(smaller(work, "magnitude"), work.calibration)
    work.train(taught(work, q))
    tfopt.export(q, work.path)
    return q


METHODS: dict[str, Callable[[Work], Any]] = {
    "PTQ int8": ptq,
    "PTQ int8, for TFLite Micro": ptq_micro,
    "PTQ int8, corrected": ptq_corrected,
    "PTQ int16x8": ptq_int16,
    "dynamic range": dynamic_range,
    "weights only, int8": weights_only,
    "QAT": qat,
    "QAT, for TFLite Micro": qat_micro,
    "QAT, 4 bits": four_bits,
    "80 % zeros, QAT": prune,
    "80 % zeros in each layer, QAT": prune_each_layer,
    "60 % zeros in each layer, 16 clusters, QAT": prune_each_layer_in_clusters,
    "80 % zeros, QAT, distilled": distilled,
    "80 % zeros, 16 clusters, QAT, distilled": distilled_in_clusters,
    "2:4, QAT": prune_2_of_4,
    "16 clusters, QAT": cluster,
    "32 clusters, QAT": cluster_finely,
    "half the MACs, QAT": shrunk,
    "half the MACs by batch norms, QAT": half_the_macs_by_norms,
    "70 % of the MACs by batch norms, QAT": most_of_the_macs_by_norms,
    "half the MACs by magnitudes, QAT, distilled": half_the_macs_distilled,
}
