"""What a firmware's table of operators must hold to run a file on TFLite Micro."""

from collections.abc import Iterable

# Operators whose names alone do not give that of their method in micro_mutable_op_resolver.h: words, and custom codes.
_WORDS = {"Lstm": "LSTM", "Matmul": "MatMul", "Cumsum": "CumSum", "Padv2": "PadV2"}
_CUSTOM = {
    "TFLM_DECODE": "AddDecode",
    "TFLite_Detection_PostProcess": "AddDetectionPostprocess",
    "ethos-u": "AddEthosU",
}


def resolver_method(operator: str) -> str:
    """The method of `tflite::MicroMutableOpResolver` that adds an operator.

    >>> resolver_method("CONV_2D"), resolver_method("UNIDIRECTIONAL_SEQUENCE_LSTM"), resolver_method("TFLM_DECODE")
    ('AddConv2D', 'AddUnidirectionalSequenceLSTM', 'AddDecode')
    """
    words = (part.capitalize() if part[0].isalpha() else part for part in operator.split("_"))
    return _CUSTOM.get(operator) or "Add" + "".join(_WORDS.get(word, word) for word in words)


def resolver_macros(name: str, operators: Iterable[str]) -> str:
    r"""Two macros of C: how many operators the array `name` needs, and a condition that adds them.

    >>> print(resolver_macros("net", ["CONV_2D", "SOFTMAX"]))
    // For tflite::MicroMutableOpResolver<NET_OPERATORS>; true if all could be added.
    #define NET_OPERATORS 2
    #define NET_ADD_OPERATORS(resolver) ( \
        (resolver).AddConv2D() == kTfLiteOk && \
        (resolver).AddSoftmax() == kTfLiteOk)
    """
    methods = sorted({resolver_method(operator) for operator in operators})
    added = " && \\\n".join(f"    (resolver).{method}() == kTfLiteOk" for method in methods)
    prefix = name.upper()
    return f"""// For tflite::MicroMutableOpResolver<{prefix}_OPERATORS>; true if all could be added.
#define {prefix}_OPERATORS {len(methods)}
#define {prefix}_ADD_OPERATORS(resolver) ( \\
{added})"""
