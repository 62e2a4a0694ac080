"""Targets: what each runtime computes, takes and lacks, a row for each."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfopt.kernels.reference import ABSENT, REFUSED_INT8, REFUSED_INT16, WRONG_INT8

# Operators that the list, made by asking the interpreter, does not try.
_ABSENT = (*ABSENT, "CONV_3D", "CONV_3D_TRANSPOSE", "REDUCE_ANY", "SEGMENT_SUM", "SELECT")
# MIRROR_PAD loads with 16-bit codes, and stops when it runs.
_FLOAT_ONLY = {
    8: (*REFUSED_INT8, *WRONG_INT8),
    16: (*REFUSED_INT8, *REFUSED_INT16, *WRONG_INT8, "MIRROR_PAD"),
}
# LiteRT's own kernels, tried on 2.3: "data_type == kTfLiteFloat32 || ... kTfLiteInt64 was not true"; of
# the LSTM "input_gate_bias->type != kTfLiteFloat32 (INT64 != FLOAT32)", for only int8 makes it integer there.
_FLOAT_ONLY_LITERT = {16: ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "UNIDIRECTIONAL_SEQUENCE_LSTM")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A row of the table.

    Attributes:
        title: its name in messages.
        settings: what `QuantConfig.for_target` sets.
        family: the family of kernels whose roundings the simulation follows, a key of `FAMILIES`.
        runtime: the runtime that `verify` asks, a key of `tfopt.runtimes.RUNTIMES`.
        activation_bits: the widths of activations that its kernels take.
        absent: TFLite operators that it cannot load.
        avoided: TFLite operators that it loads, and leaves to a slower processor.
        floats: TFLite operators that it computes in float alone, by the bits of the codes that it refuses.
        fixed_shapes: whether each tensor has one shape, so that no loop can gather a sequence: such loops, of recurrent
            layers, are unrolled.
        narrow_slopes: whether PRELU takes slopes of 8 bits beside codes of 16.
        channels: how many output channels its kernels with weights compute at a time: other widths leave lanes empty;
            0 where that is not documented.
        alignment: bytes to whose multiples it places tensors; 0 where that is not documented.
        decoder: the operator of its runtime that decodes compressed kernels while a file runs; empty if it has none.
        constant_weights: TFLite operators that read their kernels when they are prepared, before anything is decoded.
        instead: what makes its files smaller in place of a decoder.
        note: what its reports must say.
    """

    title: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    family: str = "xnnpack"
    runtime: str = "xnnpack"
    activation_bits: tuple[int, ...] = (8, 16)
    absent: tuple[str, ...] = ()
    avoided: tuple[str, ...] = ()
    floats: Mapping[int, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    fixed_shapes: bool = False
    narrow_slopes: bool = False
    channels: int = 0
    alignment: int = 0
    decoder: str = ""
    constant_weights: tuple[str, ...] = ()
    instead: str = "it has no such operator"
    note: str = ""

    def float_only(self, num_bits: int) -> tuple[str, ...]:
        """The operators that have no kernel for codes of so many bits."""
        return self.floats.get(num_bits, ())


TARGETS: dict[str, Target] = {
    # https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec, and tried on LiteRT 2.3:
    # CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED run on int4 weights. XNNPACK's kernels for AVX2 and NEON are tiles
    # of 8 output channels or 16 (src/qs8-qc8w-gemm); the arena aligns tensors to 64 bytes (kDefaultTensorAlignment).
    "litert": Target(
        title="LiteRT",
        channels=8,
        alignment=64,
        floats=_FLOAT_ONLY_LITERT,
        instead="LiteRT has no such operator, but reads sparse kernels, which export(..., sparse=True) writes",
    ),
    # The NPU profile of Google Tensor refuses activations with a zero point (google-ai-edge/LiteRT-LM issue 2497).
    "google-tensor": Target(
        title="Google Tensor",
        settings={"symmetric": True, "pack_weights": False},
        floats=_FLOAT_ONLY_LITERT,
    ),
    # Per-channel FULLY_CONNECTED was refused (https://github.com/tensorflow/tflite-micro/pull/2602) until the reference
    # and CMSIS-NN kernels learned it in September 2024 (https://github.com/tensorflow/tflite-micro/pull/2673); vendors'
    # kernels have not. int4 weights need CMSIS-NN (https://github.com/tensorflow/tflite-micro/pull/2314).
    # CMSIS-NN refuses SVDF and LSTM whose weights are no constants (svdf.cc, unidirectional_sequence_lstm.cc); those of
    # a decoded FULLY_CONNECTED it sums each time that it runs, in place of once. CMSIS-NN's products for Helium compute
    # 4 output channels at a time (arm_nn_mat_mult_nt_t_s8); MicroArenaBufferAlignment is 16.
    "tflm": Target(
        title="TFLite Micro",
        channels=4,
        alignment=16,
        settings={"dense_granularity": "tensor", "pack_weights": False},
        family="reference",
        runtime="tflm",
        absent=_ABSENT,
        floats=_FLOAT_ONLY,
        fixed_shapes=True,
        narrow_slopes=True,
        decoder="TFLM_DECODE",
        constant_weights=("SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    ),
    # Vela leaves what is not int8 or int16 to the CPU (SUPPORTED_OPS.md of ethos-u-vela), dies of int4 weights (tried
    # on 5.2.0), and takes weights per channel. A Dense per channel fills more codes, so that Vela packs it worse: 257.8
    # against 196.5 KiB of flash for MLPerf Tiny's autoencoder (Vela 5.2.0, U55-128), hence per tensor. Tensors lie in
    # bricks of 16 channels (NHCWB16 of Vela's architecture_features.py), aligned to 16 bytes (tensor.py).
    "ethos-u": Target(
        channels=16,
        alignment=16,
        title="TFLite Micro, which runs beside Ethos-U,",
        settings={"strict": True, "dense_granularity": "tensor", "pack_weights": False},
        family="reference",
        runtime="tflm",
        absent=_ABSENT,
        avoided=("REVERSE_V2",),  # Vela 5.2.0: "Axis attribute is not supported"
        floats=_FLOAT_ONLY,
        fixed_shapes=True,
        narrow_slopes=True,
        instead="Vela encodes the kernels itself, and leaves decoded ones to the CPU",
        note="Ethos-U: sums, products and pooling round as TFLite's reference kernels do. Vela makes the tables of "
        "8-bit LOGISTIC, TANH and HARD_SWISH itself, and they hold those kernels' codes, all of them; of softmax the "
        "table of exponentials does, and the steps behind it are not documented to the bit. No device was asked.",
    ),
    # "Tensor parameters are quantized (8-bit fixed-point numbers; int8 or uint8)", and a float operator ends what runs
    # on the TPU: https://coral.ai/docs/edgetpu/models-intro/#model-requirements. The compiler's last release, 16.0 of
    # 2021, is older than per-channel FULLY_CONNECTED in the converter (TensorFlow 2.17).
    "edgetpu": Target(
        title="Edge TPU",
        settings={"strict": True, "dense_granularity": "tensor", "pack_weights": False},
        activation_bits=(8,),
        note="Edge TPU: how it rounds is not documented; the simulation is that of LiteRT on a CPU.",
    ),
}
